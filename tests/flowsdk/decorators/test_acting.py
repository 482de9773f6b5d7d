"""Decorators of flowsdk's own kind that act where the step runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, ClassVar

from flowsdk import FlowSpec, step
from flowsdk.decorators import StepDecorator
from flowsdk.decorators.running import RunningTask
from flowsdk.spec import TaskResult
from tests.flowsdk.running import run


class Watching(StepDecorator):
    name = "watching"
    defaults: ClassVar[dict[str, Any]] = {"fails": False, "swallows": False}

    def around(self, task: RunningTask) -> AbstractContextManager[Any]:
        return self.watch(task)

    @contextmanager
    def watch(self, task: RunningTask) -> Iterator[None]:
        print("before", task.spec.pathspec.split("/")[2:])
        try:
            yield
        except ValueError:
            if not self.attributes["swallows"]:
                raise

    def finished(self, task: RunningTask, result: TaskResult) -> None:
        print("finished", result.status, sorted(result.artifacts))
        if self.attributes["fails"]:
            raise KeyError("in the decorator")


def flow_with(fails: bool = False, swallows: bool = False, *, works: bool) -> type[FlowSpec]:
    class Watched(FlowSpec):
        @Watching.decorate(fails=fails, swallows=swallows)
        @step
        def start(self) -> None:
            self.x = 1
            if not works:
                raise ValueError("in the step")
            self.next(self.end)

        @step
        def end(self) -> None: ...

    return Watched


def test_a_decorator_sees_the_result_before_it_is_committed(tmp_path: Path) -> None:
    ran = run(flow_with(works=True), tmp_path)
    assert ran.lines == ["before ['start', '0']", "finished succeeded ['x']"]


def test_it_sees_a_failure_too(tmp_path: Path) -> None:
    ran = run(flow_with(works=False), tmp_path)
    assert ran.lines[1] == "finished failed []"
    assert ran.results["start/0"].error.message == "in the step"


def test_one_that_suppresses_the_exception_makes_the_step_succeed(tmp_path: Path) -> None:
    ran = run(flow_with(swallows=True, works=False), tmp_path)
    assert ran.succeeded
    assert ran.lines[1] == "finished succeeded ['x']"
    assert ran.results["start/0"].next == ("end",)


def test_one_that_fails_at_the_end_makes_a_success_a_failure(tmp_path: Path) -> None:
    ran = run(flow_with(fails=True, works=True), tmp_path)
    assert ran.results["start/0"].error.type == "builtins.KeyError"


def test_but_hides_no_failure(tmp_path: Path) -> None:
    ran = run(flow_with(fails=True, works=False), tmp_path)
    assert ran.results["start/0"].error.message == "in the step"
    assert "KeyError: 'in the decorator'" in ran.lines
