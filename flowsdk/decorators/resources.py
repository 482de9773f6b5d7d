"""``@resources``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

from flowsdk.decorators.base import StepDecorator


class Resources(StepDecorator):
    """What a step needs, wherever it runs; a laptop ignores it.

    Args:
        cpu: Virtual CPUs. Default 1.
        gpu: Number of GPUs.
        gpu_type: Name of the GPU, e.g. ``"A10G"``; selects the job queue that is configured for it.
        memory: MiB. Default 4096.
        disk: MiB of ephemeral storage; on Fargate, elsewhere the host's disk is what there is.
        shared_memory: MiB of ``/dev/shm``.
    """

    name = "resources"
    defaults: ClassVar[Mapping[str, Any]] = {
        "cpu": 1,
        "gpu": None,
        "gpu_type": None,
        "disk": None,
        "memory": 4096,
        "shared_memory": None,
    }

    def check(self) -> None:
        """All amounts must be numbers, and positive where nothing would be left without."""
        check_amounts(self, positive=("cpu", "memory"), whole=("memory",))
        check_amounts(self, whole=("gpu", "disk", "shared_memory"))
        kind = self.attributes["gpu_type"]
        if kind is not None and not isinstance(kind, str):
            raise self.error(f"gpu_type={kind!r}, expected the name of a GPU such as 'A10G'.")


def check_amounts(
    decorator: StepDecorator, *, positive: tuple[str, ...] = (), whole: tuple[str, ...] = ()
) -> None:
    """Raise DecoratorError unless the named attributes are amounts (numbers, also as text) or None.

    Args:
        decorator: Whose attributes they are.
        positive: Those that must not be zero.
        whole: Those that must be whole numbers.
    """
    for key in dict.fromkeys((*positive, *whole)):
        value = decorator.attributes[key]
        if value is None:
            continue
        try:
            amount = math.nan if isinstance(value, bool) else float(value)
        except (TypeError, ValueError):
            amount = math.nan
        if not math.isfinite(amount):
            raise decorator.error(f"{key}={value!r}, expected a number.")
        if amount < 0 or (amount == 0 and key in positive):
            raise decorator.error(f"{key}={value!r}, expected a positive number.")
        if key in whole and amount != int(amount):
            raise decorator.error(f"{key}={value!r}, expected a whole number.")


resources = Resources.decorate
