from __future__ import annotations

import ctypes
import faulthandler
import os
import pickle
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flowsdk import FlowSpec, catch, current, retry, step
from flowsdk.artifacts.scope import Scope
from flowsdk.exception import (
    CaughtException,
    DecoratorError,
    FlowLintError,
    Interrupted,
    MetaflowExceptionWrapper,
)
from flowsdk.flow import graph_of
from flowsdk.lint import check
from flowsdk.runtime import processes
from flowsdk.runtime.bootstrap import main
from flowsdk.spec import ErrorInfo, TaskSpec
from tests.flowsdk.flows import write_flow
from tests.flowsdk.running import run


class OneFails(FlowSpec):
    @step
    def start(self) -> None:
        self.before = 1
        self.changed = self.kept = "as it came"
        self.next(self.fails)

    @catch(var="problem")
    @retry(times=2, minutes_between_retries=0)
    @step
    def fails(self) -> None:
        print("attempt", current.retry_count)
        self.changed = "changed"
        self.new = 2
        del self.before
        raise ValueError("so it goes")
        self.next(self.end)

    @catch(var="nothing")
    @step
    def end(self) -> None:
        pass


def test_the_last_failure_becomes_an_artifact_and_the_flow_goes_on(tmp_path: Path) -> None:
    ran = run(OneFails, tmp_path)
    assert ran.succeeded
    problem = ran.value("end/0", "problem")
    assert isinstance(problem, MetaflowExceptionWrapper)
    assert (problem.type, problem.exception) == ("builtins.ValueError", "so it goes")
    assert 'raise ValueError("so it goes")' in problem.stacktrace
    assert "flowsdk/runtime" not in problem.stacktrace
    assert str(problem).endswith("ValueError: so it goes")
    assert bool(problem)


class MayFail(FlowSpec):
    @catch(var="problem")
    @retry(times=2, minutes_between_retries=0)
    @step
    def start(self) -> None:
        self.next(self.end)

    @step
    def end(self) -> None:
        pass


def test_a_step_that_needs_none_of_its_retries_tells_that_nothing_went_wrong(
    tmp_path: Path,
) -> None:
    ran = run(MayFail, tmp_path)
    assert ran.succeeded
    assert ran.value("end/0", "problem") is None


def test_it_acts_only_after_the_last_retry(tmp_path: Path) -> None:
    ran = run(OneFails, tmp_path)
    attempts = [result.status for result in ran.attempts if result.step == "fails"]
    assert attempts == ["failed", "failed", "succeeded"]
    assert [line for line in ran.lines if line.startswith("attempt")] == [
        "attempt 0",
        "attempt 1",
        "attempt 2",
    ]


def test_what_the_failed_step_did_to_artifacts_is_kept_and_the_rest_passed_on(
    tmp_path: Path,
) -> None:
    ran = run(OneFails, tmp_path)
    assert ran.value("end/0", "changed") == "changed"
    assert ran.value("end/0", "new") == 2
    assert ran.value("end/0", "kept") == "as it came"
    assert "before" not in ran.results["fails/0"].artifacts


def test_the_result_tells_what_was_caught(tmp_path: Path) -> None:
    ran = run(OneFails, tmp_path)
    caught = ran.results["fails/0"].caught
    assert caught
    assert (caught.type, caught.message) == ("builtins.ValueError", "so it goes")
    assert ran.results["end/0"].caught is None


def test_without_a_failure_the_artifact_is_none(tmp_path: Path) -> None:
    assert run(OneFails, tmp_path).value("end/0", "nothing") is None


def test_a_caught_exception_survives_pickling() -> None:
    caught = CaughtException("a.B", "text", "trace")
    copy = pickle.loads(pickle.dumps(caught))
    assert (copy.type, copy.exception, copy.stacktrace) == ("a.B", "text", "trace")
    assert repr(CaughtException("a.B", "text")) == "a.B('text')"
    assert str(CaughtException("a.B", "text")) == "a.B: text"


def test_print_exception_shows_it_in_the_log(tmp_path: Path) -> None:
    ran = run(OneFails, tmp_path)
    assert "@catch caught an exception of step 'fails':" in ran.lines
    assert ">  ValueError: so it goes" in ran.lines


class Quiet(FlowSpec):
    @catch(print_exception=False)
    @step
    def start(self) -> None:
        raise SystemExit(4)
        self.next(self.a, self.b)

    @step
    def a(self) -> None:
        self.next(self.gather)

    @step
    def b(self) -> None:
        self.next(self.gather)

    @step
    def gather(self, inputs: Any) -> None:
        self.branches = len(inputs)
        self.next(self.end)

    @step
    def end(self) -> None:
        pass


def test_print_exception_can_be_turned_off_and_all_branches_of_a_split_run(tmp_path: Path) -> None:
    ran = run(Quiet, tmp_path)
    assert ran.succeeded
    assert ran.value("end/0", "branches") == 2
    assert ran.lines == []


def crash() -> None:
    faulthandler.disable()  # the test runner's would report it
    ctypes.string_at(0)


def hang_in_c() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])  # no handler runs in C code
    time.sleep(20)


def lose_the_host() -> None:
    raise Interrupted("gone")


DEATHS: dict[str, Callable[[], object]] = {
    "killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "crashed": crash,
    "exited": lambda: os._exit(3),
    "hanging": hang_in_c,
    "slow": lambda: time.sleep(20),
    "moved": lose_the_host,
}


class Dies(FlowSpec):
    how = ""

    @step
    def start(self) -> None:
        self.x = 1
        self.next(self.dies)

    @catch(var="problem")
    @step
    def dies(self) -> None:
        print("attempt", current.retry_count, flush=True)
        DEATHS[self.how]()
        self.next(self.end)

    @step
    def end(self) -> None:
        pass


def dying(how: str) -> type[FlowSpec]:
    return type("Dies", (Dies,), {"how": how, "__module__": __name__})


def test_a_process_that_the_memory_of_its_container_was_too_small_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kills = iter(range(100))
    monkeypatch.setattr(processes, "oom_kills", lambda: next(kills))
    ran = run(dying("killed"), tmp_path)
    assert ran.succeeded
    assert ran.value("end/0", "problem").type == "flowsdk.OutOfMemory"
    assert ran.results["dies/0"].caught.out_of_memory


@pytest.mark.parametrize(
    ("how", "type_", "message"),
    [
        ("killed", "flowsdk.Killed", "killed by SIGKILL. It may have run out of"),
        ("crashed", "flowsdk.Killed", "killed by SIGSEGV. That is a segmentation fault"),
        ("exited", "flowsdk.Exited", "ended with exit code 3"),
    ],
)
def test_the_death_of_the_process_is_caught(
    tmp_path: Path, how: str, type_: str, message: str
) -> None:
    flow = dying(how)
    ran = run(flow, tmp_path)
    assert ran.succeeded
    problem = ran.value("end/0", "problem")
    assert problem.type == type_
    assert message in problem.exception
    assert ran.value("end/0", "x") == 1
    assert ran.output.count("attempt 0") == 1, "the step's code has run twice"
    result = ran.results["dies/0"]
    assert result.caught
    assert result.started_at < result.finished_at


class Hungry(FlowSpec):
    @step
    def start(self) -> None:
        self.score = Path("/proc/self/oom_score_adj").read_text().strip()
        self.next(self.end)

    @step
    def end(self) -> None: ...


@pytest.mark.skipif(not Path("/proc/self/oom_score_adj").exists(), reason="Linux only")
def test_where_memory_runs_out_the_task_goes_before_the_process_that_tells_of_it(
    tmp_path: Path,
) -> None:
    own = int(Path("/proc/self/oom_score_adj").read_text())
    assert int(run(Hungry, tmp_path).value("end/0", "score")) == 1000 > own


def test_retries_come_before_the_death_is_caught(tmp_path: Path) -> None:
    flow = dying("exited")
    ran = run(flow, tmp_path, with_=["retry:times=1,minutes_between_retries=0"])
    assert [r.status for r in ran.attempts if r.step == "dies"] == ["failed", "succeeded"]
    assert [line for line in ran.lines if "attempt" in line] == ["attempt 0", "attempt 1"]


def test_a_step_that_does_not_react_to_its_timeout_is_killed_and_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "GRACE_SECONDS", 0.2)
    flow = dying("hanging")
    ran = run(flow, tmp_path, with_=["timeout:seconds=1"])
    assert ran.succeeded
    problem = ran.value("end/0", "problem")
    assert problem.type == "flowsdk.exception.TimeoutException"
    assert "longer than its @timeout of 1 seconds and had to be killed" in problem.exception


def test_a_timeout_that_is_noticed_is_caught(tmp_path: Path) -> None:
    flow = dying("slow")
    ran = run(flow, tmp_path, with_=["timeout:seconds=1"])
    assert ran.succeeded
    assert ran.value("end/0", "problem").type == "flowsdk.exception.TimeoutException"


def test_a_host_that_goes_away_is_not_the_steps_failure(tmp_path: Path) -> None:
    flow = dying("moved")
    assert Interrupted.kind == "interrupted"
    ran = run(flow, tmp_path)
    assert not ran.succeeded
    assert ran.results["dies/0"].caught is None


JOB = """
import faulthandler, os
from flowsdk import catch

class Job(FlowSpec):
    @catch(var="problem")
    @step
    def start(self):
        faulthandler.disable()
        os.abort()
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    Job()
"""


def test_a_job_catches_the_death_of_its_task_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_flow(tmp_path, JOB)
    spec = TaskSpec(
        "Job", "r", "start", "0", 0, str(tmp_path / "data"), parameters={}, script="flow.py",
        catches=True,
    )  # fmt: skip
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(spec.to_json(), str(tmp_path)) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    result = processes.FlowDatastore.at(spec.root, "Job").read_result("r", spec.ref)
    assert result.next == ("end",)
    assert result.caught
    assert result.caught.type == "flowsdk.Killed"


def test_a_job_does_what_catch_does_about_one_that_was_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_flow(tmp_path, JOB)
    lost = ErrorInfo("user", "flowsdk.aws_batch.OutOfMemory", "No memory (job j).")
    spec = TaskSpec(
        "Job", "r", "start", "0", 3, str(tmp_path / "data"), parameters={}, script="flow.py",
        retry_count=2, max_retries=2, catches=True, lost=lost,
    )  # fmt: skip
    before = signal.getsignal(signal.SIGTERM)
    try:
        assert main(spec.to_json(), str(tmp_path)) == 0
    finally:
        signal.signal(signal.SIGTERM, before)
    store = processes.FlowDatastore.at(spec.root, "Job")
    result = store.read_result("r", spec.ref)
    assert (result.next, result.caught) == (("end",), lost)
    problem = Scope(store.storage, store.blobs, result.artifacts).load("problem")
    assert (problem.type, problem.exception) == (lost.type, lost.message)


class SplitsAndCatches(FlowSpec):
    @catch
    @step
    def start(self) -> None:
        self.xs = [1]
        self.next(self.body, foreach="xs")

    @step
    def body(self) -> None:
        self.next(self.gather)

    @step
    def gather(self, inputs: Any) -> None:
        self.next(self.choose)

    @catch
    @step
    def choose(self) -> None:
        self.next({1: self.a, 2: self.b}, condition="which")

    @step
    def a(self) -> None:
        self.next(self.launch)

    @step
    def b(self) -> None:
        self.next(self.launch)

    @catch
    @step
    def launch(self) -> None:
        self.next(self.node, num_parallel=2)

    @step
    def node(self) -> None:
        self.next(self.end)

    @catch
    @step
    def end(self, inputs: Any) -> None:
        pass


def test_it_is_refused_where_the_code_decides_what_follows() -> None:
    found = [p for p in check(graph_of(SplitsAndCatches)) if p.rule == "catch"]
    assert [problem.step for problem in found] == ["start", "choose", "launch"]
    assert [problem.message.partition("ends in ")[2].split(",")[0] for problem in found] == [
        "a foreach",
        "a switch",
        "num_parallel",
    ]
    assert all(problem.file == __file__ and problem.line for problem in found)


def test_it_is_refused_there_from_with_too(tmp_path: Path) -> None:
    class Splits(SplitsAndCatches):
        @step
        def start(self) -> None:
            self.next(self.body, foreach="xs")

    with pytest.raises(FlowLintError, match="'start' would have @catch from --with"):
        run(Splits, tmp_path, with_=["catch"])


@pytest.mark.parametrize("var", ["not a name", "_hidden", 3, "class"])
def test_var_must_be_the_name_of_an_artifact(var: Any) -> None:
    with pytest.raises(DecoratorError, match=r"@catch \(.*:\d+\): var="):
        catch(var=var)
