"""``@batch``."""

from __future__ import annotations

from flowsdk.decorators.base import StepDecorator
from flowsdk.decorators.resources import check_amounts


class Batch(StepDecorator):
    """Run a step as an AWS Batch job, also when the flow is run from a laptop.

    Args:
        cpu: Virtual CPUs. Default 1.
        gpu: Number of GPUs. Default 0.
        memory: MiB. Default 4096.
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
        ephemeral_storage: GiB, 21 to 200, Fargate only.
        log_driver: E.g. ``awslogs``.
        log_options: ``["key:value", …]``.
        privileged: Give the container root rights on its host. Default False.
        host_volumes: ``["/on/host:/in/container", …]``, or one path for both.
        efs_volumes: ``["fs-id:/in/container", …]``.
        aws_batch_tags: Tags of the job.
    """

    name = "batch"
    defaults = {
        "cpu": 1,
        "gpu": 0,
        "memory": 4096,
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
        "ephemeral_storage": None,
        "log_driver": None,
        "log_options": (),
        "privileged": False,
        "host_volumes": (),
        "efs_volumes": (),
        "aws_batch_tags": {},
    }

    def check(self) -> None:
        """Amounts must be numbers, swappiness a percentage."""
        amounts = ("gpu", "shared_memory", "max_swap", "tmpfs_size", "ephemeral_storage")
        check_amounts(self, ("cpu", "memory"), amounts)
        swappiness = self.attributes["swappiness"]
        if swappiness is not None and not 0 <= int(swappiness) <= 100:
            raise self.error(f"swappiness={swappiness!r}, expected 0 to 100.")
        for option in self.attributes["log_options"] or ():
            if ":" not in str(option):
                raise self.error(f"log_options has {option!r}, expected 'key:value'.")
        tags = self.attributes["aws_batch_tags"]
        if not isinstance(tags, dict):
            raise self.error(f"aws_batch_tags={tags!r}, expected a dict.")


batch = Batch.decorate
