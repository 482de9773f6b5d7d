"""``@batch``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from flowsdk.decorators.base import StepDecorator
from flowsdk.decorators.resources import check_amounts


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
        aws_batch_tags: Tags of the job.
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
        amounts = ("gpu", "shared_memory", "max_swap", "swappiness", "tmpfs_size")
        check_amounts(self, whole=(*amounts, "ephemeral_storage", "inferentia", "trainium", "efa"))
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
        a["aws_batch_tags"] = self._tags()

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
        return {str(key): str(value) for key, value in tags.items()}


batch = Batch.decorate
