from __future__ import annotations

from typing import Any

import pytest

from flowsdk import pytorch_parallel
from flowsdk.decorators.parallel import Parallel, ParallelPlace, PytorchParallel
from flowsdk.decorators.running import RunningTask
from flowsdk.exception import DecoratorError, FlowException
from flowsdk.spec import TaskSpec


@pytest.mark.parametrize("port", [0, 65536, "no", True, -1])
def test_a_port_must_be_one(port: Any) -> None:
    with pytest.raises(DecoratorError, match="expected a port, 1 to 65535"):
        pytorch_parallel(master_port=port)


def test_the_nodes_of_a_gang_agree_on_a_port_that_depends_on_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from flowsdk.current_task import current

    def port(run: str, index: int, control: str = "0") -> str:
        monkeypatch.setattr(current, "_facts", {"run_id": run, "step_name": "train"})
        place = ParallelPlace("10.0.0.1", 2, index, control)
        return PytorchParallel().variables(place)["MASTER_PORT"]

    assert port("r1", 0) == port("r1", 1)
    assert len({port(f"r{i}", 0) for i in range(20)}) > 10
    assert port("r1", 0, "0-0") != port("r1", 0, "1-0"), "two gangs of a foreach"


def test_a_task_outside_a_gang_is_told() -> None:
    spec = TaskSpec("F", "r", "train", "0", 0, "/data")
    task = RunningTask(spec, *[None] * 5)  # type: ignore[arg-type]
    with pytest.raises(FlowException, match=r"'train'.* in no gang, expected .*num_parallel"):
        Parallel().around(task)
