"""``@batch``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, ClassVar

from flowsdk.decorators.base import StepDecorator
from flowsdk.decorators.resources import check_amounts

#: https://docs.aws.amazon.com/batch/latest/APIReference/API_SubmitJob.html
_SHARE_IDENTIFIER = re.compile(r"[A-Za-z0-9]{1,255}\*?")
_MAX_PRIORITY = 9999
#: Of the 50 tags that a job may have, those left beside our own; how long a key and a value may be,
#: and of what. https://docs.aws.amazon.com/batch/latest/userguide/using-tags.html
_MAX_TAGS = 40
_TAG_KEY = re.compile(r"(?!aws:)[\w +=.:/@-]{1,128}", re.IGNORECASE)
_TAG_VALUE = re.compile(r"[\w +=.:/@-]{0,256}")


class Batch(StepDecorator):
    """Run a step as an AWS Batch job, also when the flow is run from a laptop.

    Args:
        cpu: Virtual CPUs; 1 if ``@resources`` says nothing either.
        gpu: Number of GPUs; 0 likewise.
        memory: MiB; 4096 likewise.
        image: Container image; by default the one that is configured.
        queue: Job queue; by default the one that is configured.
        iam_role: Role of the code in the container.
        execution_role: Role that starts the container; Fargate needs one.
        shared_memory: MiB of ``/dev/shm``.
        max_swap: MiB of swap space.
        swappiness: 0 to 100.
        use_tmpfs: Mount a RAM disk.
        tmpfs_size: MiB; by default half of the memory.
        tmpfs_path: Where. Default ``/flowsdk_temp``.
        tmpfs_tempdir: Whether temporary files go there. Default True.
        ephemeral_storage: GiB, 21 to 200, Fargate only.
        log_driver: E.g. ``awslogs``.
        log_options: ``["key:value", …]``.
        privileged: Give the container root rights on its host. Default False.
        host_volumes: ``["/on/host:/in/container", …]``, or one path for both.
        efs_volumes: ``["fs-id:/in/container", …]``.
        aws_batch_tags: Tags of the job, at most 40.
        share_identifier: Whose share of a queue with a scheduling policy the job takes; such a queue
            demands one, others refuse it.
        scheduling_priority: 0 to 9999, of jobs with one share identifier; the highest comes first.
        container_properties: Whatever else AWS Batch takes, as in ``containerProperties`` of its
            RegisterJobDefinition: ``{"ulimits": [{"name": "nofile", "softLimit": 4096, "hardLimit":
            4096}]}``. Merged into what the other arguments say: dicts key by key at any depth;
            everything else, lists too, replaces what was there.
        array: Under Airflow, run all splits of the outermost foreach around the step as AWS Batch
            array jobs: one task instance for each step, not one for each split. Default False.
        inferentia: Number of AWS Inferentia or Trainium chips.
        trainium: Another name of ``inferentia``.
        efa: Number of Elastic Fabric Adapters.
        executable: Python in the container. Default ``python3``.
    """

    name = "batch"
    defaults: ClassVar[Mapping[str, Any]] = {
        "cpu": None,
        "gpu": None,
        "memory": None,
        "image": None,
        "queue": None,
        "iam_role": None,
        "execution_role": None,
        "shared_memory": None,
        "max_swap": None,
        "swappiness": None,
        "use_tmpfs": False,
        "tmpfs_size": None,
        "tmpfs_path": "/flowsdk_temp",
        "tmpfs_tempdir": True,
        "ephemeral_storage": None,
        "log_driver": None,
        "log_options": (),
        "privileged": False,
        "host_volumes": (),
        "efs_volumes": (),
        "aws_batch_tags": {},
        "share_identifier": None,
        "scheduling_priority": None,
        "container_properties": {},
        "array": False,
        "inferentia": None,
        "trainium": None,
        "efa": None,
        "executable": None,
    }

    def check(self) -> None:
        """Amounts must be numbers and paths absolute; lists and tags may be given as text too."""
        a = self.attributes
        check_amounts(self, positive=("cpu", "memory"), whole=("memory",))
        amounts: tuple[str, ...] = ("gpu", "shared_memory", "max_swap", "swappiness", "tmpfs_size")
        amounts += ("ephemeral_storage", "inferentia", "trainium", "efa", "scheduling_priority")
        check_amounts(self, whole=amounts)
        if a["inferentia"] is not None and a["trainium"] is not None:
            raise self.error("found both inferentia and trainium, which are one. Remove one.")
        if a["executable"] is not None and (
            not isinstance(a["executable"], str) or not a["executable"].strip()
        ):
            raise self.error(
                f"executable={a['executable']!r}, expected a program such as 'python3'."
            )
        # https://docs.aws.amazon.com/batch/latest/APIReference/API_LinuxParameters.html
        if a["swappiness"] is not None and float(a["swappiness"]) > 100:
            raise self.error(f"swappiness={a['swappiness']!r}, expected 0 to 100.")
        # https://docs.aws.amazon.com/batch/latest/APIReference/API_EphemeralStorage.html
        if a["ephemeral_storage"] is not None and not 21 <= float(a["ephemeral_storage"]) <= 200:
            raise self.error(f"ephemeral_storage={a['ephemeral_storage']!r}, expected 21 to 200.")
        if not str(a["tmpfs_path"]).startswith("/"):
            raise self.error(f"tmpfs_path={a['tmpfs_path']!r}, expected an absolute path.")
        for key in ("log_options", "host_volumes", "efs_volumes"):
            a[key] = self._texts(key)
        for option in a["log_options"]:
            if ":" not in option:
                raise self.error(f"log_options has {option!r}, expected 'key:value'.")
        for key in ("host_volumes", "efs_volumes"):
            self._check_volumes(key)
        a["aws_batch_tags"] = self._tags()
        self._check_share()
        if not isinstance(a["container_properties"], Mapping):
            raise self.error(
                f"container_properties={a['container_properties']!r}, expected a dict such as "
                f"{{'user': 'nobody'}}."
            )

    def _check_volumes(self, key: str) -> None:
        for text in self.attributes[key]:
            source, colon, inside = text.partition(":")
            if not source or (colon and (not inside.startswith("/") or ":" in inside)):
                raise self.error(f"{key} has {text!r}, expected 'source:/in/container'.")

    def _check_share(self) -> None:
        share, priority = (
            self.attributes["share_identifier"],
            self.attributes["scheduling_priority"],
        )
        if share is not None and not (
            isinstance(share, str) and _SHARE_IDENTIFIER.fullmatch(share)
        ):
            raise self.error(f"share_identifier={share!r}, expected up to 255 letters and digits.")
        if priority is None:
            return
        if float(priority) > _MAX_PRIORITY:
            raise self.error(f"scheduling_priority={priority!r}, expected 0 to {_MAX_PRIORITY}.")
        if share is None:
            raise self.error(
                "found scheduling_priority without share_identifier, expected both: it orders the "
                "jobs of one share."
            )

    def _texts(self, key: str) -> tuple[str, ...]:
        value = self.attributes[key] or ()
        texts = (value,) if isinstance(value, str) else value
        if not isinstance(texts, (list, tuple)) or not all(isinstance(t, str) for t in texts):
            raise self.error(f"{key}={value!r}, expected a list of texts.")
        return tuple(texts)

    def _tags(self) -> dict[str, str]:
        tags = self.attributes["aws_batch_tags"] or {}
        if isinstance(tags, str):
            tags = [tags]
        if isinstance(tags, (list, tuple)) and all("=" in str(tag) for tag in tags):
            # A value may have a "=" itself.
            tags = dict(str(tag).split("=", 1) for tag in tags)
        if not isinstance(tags, dict):
            raise self.error(f"aws_batch_tags={tags!r}, expected a dict, or a list of 'key=value'.")
        if len(tags) > _MAX_TAGS:
            raise self.error(f"aws_batch_tags has {len(tags)} tags, expected at most {_MAX_TAGS}.")
        found = {str(key): str(value) for key, value in tags.items()}
        for key, value in found.items():
            if not _TAG_KEY.fullmatch(key) or not _TAG_VALUE.fullmatch(value):
                raise self.error(
                    f"aws_batch_tags has {key!r}: {value!r}, expected letters, digits, spaces and "
                    f"any of '+-=._:/@', a key of 1 to 128 that does not begin with 'aws:', and a "
                    f"value of up to 256."
                )
        return found


batch = Batch.decorate
