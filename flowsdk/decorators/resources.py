"""``@resources``."""

from __future__ import annotations

from flowsdk.decorators.base import StepDecorator


class Resources(StepDecorator):
    """What a step needs, wherever it runs; a laptop ignores it.

    Args:
        cpu: Virtual CPUs. Default 1.
        gpu: Number of GPUs.
        gpu_type: Name of the GPU, e.g. ``"A10G"``; selects the queue.
        memory: MiB. Default 4096.
        disk: MiB of ephemeral storage.
        shared_memory: MiB of ``/dev/shm``.
    """

    name = "resources"
    defaults = {
        "cpu": 1,
        "gpu": None,
        "gpu_type": None,
        "disk": None,
        "memory": 4096,
        "shared_memory": None,
    }

    def check(self) -> None:
        """All amounts must be numbers, and positive where nothing would be left without."""
        check_amounts(self, ("cpu", "memory"), ("gpu", "disk", "shared_memory"))


def check_amounts(
    decorator: StepDecorator, positive: tuple[str, ...], optional: tuple[str, ...]
) -> None:
    """Raise DecoratorError unless the named attributes are amounts (numbers, also as text)."""
    for key in (*positive, *optional):
        value = decorator.attributes[key]
        if value is None and key in optional:
            continue
        try:
            amount = float(value)
        except (TypeError, ValueError):
            raise decorator.error(f"{key}={value!r}, expected a number.") from None
        if amount < 0 or (amount == 0 and key in positive):
            raise decorator.error(f"{key}={value!r}, expected a positive number.")


resources = Resources.decorate
