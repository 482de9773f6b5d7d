"""What the scheduler makes of tasks that are lost with all of their job."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from pathlib import Path

import pytest

from flowsdk import FlowSpec, catch, retry, step
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import StepSettings, step_settings
from flowsdk.flow import graph_of
from flowsdk.local.scheduler import Listener, Scheduler
from flowsdk.spec import ErrorInfo, RunSpec, TaskRef, TaskResult, TaskSpec

TIME = "2026-11-21T09:00:00+00:00"
OOM = ErrorInfo("user", "flowsdk.aws_batch.OutOfMemory", "no memory")
HOST = ErrorInfo("interrupted", "flowsdk.aws_batch.HostTerminated", "the host is gone")
CODE = ErrorInfo("user", "builtins.ValueError", "no")


class Caught(FlowSpec):
    @catch
    @retry(times=1, minutes_between_retries=0, on_oom=2)
    @step
    def start(self): ...


class Uncaught(FlowSpec):
    @retry(times=1, minutes_between_retries=0)
    @step
    def start(self): ...


class Jobs:
    """A launcher whose tasks end one by one with the errors given, and then well."""

    def __init__(self, *errors: ErrorInfo) -> None:
        self._errors = deque(errors)
        self._out: list[TaskSpec] = []
        self.launched: list[tuple[TaskSpec, StepSettings]] = []

    def __len__(self) -> int:
        return len(self._out)

    def launch(self, specs: Sequence[TaskSpec], settings: StepSettings) -> list[str]:
        self._out += specs
        self.launched += [(spec, settings) for spec in specs]
        return ["a job"] * len(specs)

    def poll(self, timeout: float) -> list[TaskResult]:
        specs, self._out = self._out, []
        return [self._end(spec) for spec in specs]

    def _end(self, spec: TaskSpec) -> TaskResult:
        error = self._errors.popleft() if self._errors else None
        status = "failed" if error else "succeeded"
        return TaskResult(
            spec.flow, spec.run, spec.step, spec.task, spec.attempt, status, TIME, TIME, error
        )

    def cancel(self, tasks: Collection[TaskRef], reason: str) -> None:
        raise AssertionError("there is no gang")

    def stop(self, reason: str) -> None:
        self._out.clear()


def run(flow: type[FlowSpec], folder: Path, jobs: Jobs) -> bool:
    name = flow.__name__
    spec = RunSpec(name, "r", {}, None, "flow.py", "ada", TIME, "local")
    settings = {"start": step_settings(flow, "start")}
    listener = Listener(lambda *_: None, lambda *_: None)
    store = FlowDatastore.at(str(folder), name)
    return Scheduler(
        graph_of(flow), spec, store, settings, {"start": jobs}, listener, max_workers=1
    ).execute()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flowsdk.local.scheduler._PLATFORM_RETRY_SECONDS", 0.0)


def test_a_task_that_ran_out_of_memory_for_the_last_time(tmp_path: Path) -> None:
    jobs = Jobs(OOM, OOM)
    assert run(Caught, tmp_path, jobs)
    assert [(s.attempt, s.retry_count, s.lost) for s, _ in jobs.launched] == [
        (0, 0, None),
        (1, 1, None),
        (2, 2, OOM),
    ]
    assert [settings.ooms for _, settings in jobs.launched] == [0, 1, 2]


def test_a_task_whose_host_is_lost_again_and_again(tmp_path: Path) -> None:
    jobs = Jobs(HOST, HOST, HOST)
    assert run(Caught, tmp_path, jobs)
    assert [spec.lost for spec, _ in jobs.launched] == [None, None, None, HOST]
    assert jobs.launched[-1][0].retry_count == 1, "as in the last of its tries"


def test_the_job_that_was_to_catch_it_is_lost_too(tmp_path: Path) -> None:
    jobs = Jobs(OOM, OOM, OOM)
    assert not run(Caught, tmp_path, jobs)
    assert len(jobs.launched) == 3


@pytest.mark.parametrize(("flow", "error"), [(Uncaught, OOM), (Caught, CODE)])
def test_what_cannot_be_caught_so_fails(
    tmp_path: Path, flow: type[FlowSpec], error: ErrorInfo
) -> None:
    jobs = Jobs(error, error)
    assert not run(flow, tmp_path, jobs)
    assert len(jobs.launched) == 2
