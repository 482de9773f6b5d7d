"""``@parallel`` and ``@pytorch_parallel``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from flowsdk.current_task import current
from flowsdk.decorators.base import StepDecorator
from flowsdk.exception import FlowException

if TYPE_CHECKING:
    from flowsdk.decorators.running import RunningTask


class ParallelPlace(NamedTuple):
    """``current.parallel``: which node of a gang this task is.

    Attributes:
        main_ip: Address of node 0.
        num_nodes: How many there are.
        node_index: 0-based.
        control_task_id: Task id of node 0.
    """

    main_ip: str
    num_nodes: int
    node_index: int
    control_task_id: str


class Parallel(StepDecorator):
    """Run a step as a gang: ``num_parallel`` tasks at the same time, which know each other.

    Within, ``current.parallel`` is a :class:`ParallelPlace` and ``current.is_parallel`` is True. The
    same stands in the environment, as MF_PARALLEL_MAIN_IP, MF_PARALLEL_NUM_NODES,
    MF_PARALLEL_NODE_INDEX and MF_PARALLEL_CONTROL_TASK_ID, for processes that the step starts.
    """

    name = "parallel"

    def around(self, task: RunningTask) -> AbstractContextManager[Any] | None:
        """Tell the step where in its gang it is."""
        fact = task.spec.facts.get("parallel")
        if fact is None:
            raise FlowException(
                f"@parallel (step {task.spec.step!r}): found a task that is in no gang, expected the "
                f"step to follow self.next(self.{task.spec.step}, num_parallel=…)."
            )
        return self._in_gang(ParallelPlace(**fact))

    @contextmanager
    def _in_gang(self, place: ParallelPlace) -> Iterator[None]:
        current._add(parallel=place, is_parallel=True)
        os.environ.update(self.variables(place))
        yield

    def variables(self, place: ParallelPlace) -> dict[str, str]:
        """The environment variables of a node."""
        return {f"MF_PARALLEL_{key.upper()}": str(value) for key, value in place._asdict().items()}


class PytorchParallel(Parallel):
    """``@parallel`` for PyTorch: also sets what ``torch.distributed`` reads from the environment.

    That is MASTER_ADDR, MASTER_PORT, WORLD_SIZE, NODE_RANK and RANK, for one process per node;
    ``torchrun`` sets its own.

    Args:
        master_port: Port of node 0. By default one that is computed from the run, the step and the
            control task, so that two gangs on one machine seldom meet.
    """

    name = "pytorch_parallel"
    defaults: ClassVar[Mapping[str, Any]] = {"master_port": None}

    def check(self) -> None:
        """The port must be one."""
        port = self.attributes["master_port"]
        if port is None:
            return
        try:
            number = 0 if isinstance(port, bool) else int(port)
        except (TypeError, ValueError):
            number = 0
        if not 0 < number < 65536:
            raise self.error(f"master_port={port!r}, expected a port, 1 to 65535.")

    def variables(self, place: ParallelPlace) -> dict[str, str]:
        """Those of ``@parallel`` and of PyTorch."""
        port = self.attributes["master_port"] or _port_for(place.control_task_id)
        return {
            **super().variables(place),
            "MASTER_ADDR": place.main_ip,
            "MASTER_PORT": str(port),
            "WORLD_SIZE": str(place.num_nodes),
            "NODE_RANK": str(place.node_index),
            "RANK": str(place.node_index),
        }


def _port_for(control_task: str) -> int:
    """The same port on every node of a gang, below the range that systems assign by themselves."""
    import zlib

    gang = f"{current.run_id}/{current.step_name}/{control_task}"
    return 20000 + zlib.crc32(gang.encode()) % 10000


parallel = Parallel.decorate
pytorch_parallel = PytorchParallel.decorate
