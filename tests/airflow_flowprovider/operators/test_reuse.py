"""A DAG run that resumes another: what is used again, what runs, and what is refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.definitions.param import process_params

from airflow_flowprovider.compat import AirflowFailException
from airflow_flowprovider.compiler import compile_flow
from airflow_flowprovider.records import RECORD_KEY
from flowsdk import FlowSpec, Parameter, step
from flowsdk.datastore import FlowDatastore, keys
from flowsdk.exception import KeyNotFound
from flowsdk.spec import ErrorInfo, TaskRef, TaskResult
from tests.airflow_flowprovider.moved import TaskDeferred
from tests.airflow_flowprovider.operators.driver import Driver
from tests.airflow_flowprovider.operators.fakes import RUN, FakeTaskInstance, XComs, context
from tests.airflow_flowprovider.operators.flows import SampleFlow
from tests.flowsdk.aws_batch.fakes import FakeBatch, commit
from tests.flowsdk.running import Finished, run

pytestmark = pytest.mark.usefixtures("configured")

TASKS = [("start", -1), ("body", 0), ("body", 1), ("left", 0), ("left", 1), ("right", 0),
         ("right", 1), ("both", 0), ("both", 1), ("join", -1), ("end", -1)]  # fmt: skip


class RepeatFlow(FlowSpec):
    times = Parameter("times", default=3)

    @step
    def start(self):
        self.count = 0
        self.next(self.again)

    @step
    def again(self):
        self.count += 1
        self.go = self.count < self.times
        self.next({True: self.again, False: self.end}, condition="go")

    @step
    def end(self):
        pass


class Resuming:
    """Runs task instances of a DAG run with a conf, against an AWS on which no job ends."""

    def __init__(self, flow: type[FlowSpec], store: FlowDatastore, conf: Mapping[str, Any]) -> None:
        self.flow, self.store, self.conf = flow, store, conf
        self.dag = compile_flow(flow)
        self.fake = FakeBatch()
        self.xcoms: XComs = {}

    def execute(self, name: str, index: int = -1, try_number: int = 1, max_tries: int = 2) -> bool:
        """Whether a task instance has succeeded without a job."""
        ti = FakeTaskInstance(name, index, try_number, max_tries, self.xcoms, dag_id=self.flow.__name__)  # fmt: skip
        operator = Driver(self.fake, self.store, self.xcoms).operator(name, flow=self.flow)
        # As Airflow makes the context: params may be other ones afterwards.
        task = self.dag.get_task(name)
        process_params(self.dag, task, dict(self.conf), suppress_exception=False)
        try:
            operator.execute({**context(ti, self.conf, conf=dict(self.conf)), "dag": self.dag})  # type: ignore[arg-type, typeddict-item]
        except TaskDeferred:
            return False
        assert self.xcoms[name, RECORD_KEY, index]["status"] == "succeeded"
        return True

    def until_one_runs(self, tasks: list[tuple[str, int]] = TASKS) -> list[tuple[str, int]]:
        """The task instances that have succeeded before the first that launches a job."""
        done = []
        for task in tasks:
            if not self.execute(*task):
                return done
            done.append(task)
        return done


@pytest.fixture
def origin(tmp_path: Path) -> Finished:
    return run(SampleFlow, tmp_path, {"size": 2})


def change(origin: Finished, ref: TaskRef, **fields: Any) -> None:
    """Let an attempt of the earlier run have ended in another way."""
    result = origin.store.read_result(origin.run, ref)
    key = keys.result(origin.store.flow, origin.run, ref)
    origin.store.storage.write(key, [replace(result, **fields).to_json()])


def fail(origin: Finished, ref: TaskRef) -> None:
    change(origin, ref, status="failed", artifacts={}, next=(), splits=None)


def test_a_run_that_has_succeeded_is_used_again_whole(origin: Finished) -> None:
    resuming = Resuming(SampleFlow, origin.store, {"resume": origin.run})
    assert resuming.until_one_runs() == TASKS
    assert not resuming.fake.jobs
    spec = origin.store.read_run(RUN)
    assert spec.origin == f"SampleFlow/{origin.run}"
    assert spec.parameters == {"size": 2}
    results = origin.store.read_results(RUN, [TaskRef("both", "1", 0), TaskRef("end", "0", 0)])
    assert [result.origin for result in results] == [
        f"SampleFlow/{origin.run}/both/1/0", f"SampleFlow/{origin.run}/end/0/0"
    ]  # fmt: skip
    assert results[0].artifacts == origin.results["both/1"].artifacts
    assert origin.store.read_spec(RUN, TaskRef("both", "1", 0)).origin_run == origin.run


def test_what_failed_and_what_follows_it_runs(origin: Finished) -> None:
    fail(origin, TaskRef("left", "1", 0))
    resuming = Resuming(SampleFlow, origin.store, {"resume": f"SampleFlow/{origin.run}"})
    assert resuming.until_one_runs() == TASKS[: TASKS.index(("left", 1))]
    assert resuming.fake.names()[0].startswith("SampleFlow_left_")
    # The other split is not concerned.
    assert all(resuming.execute(*task) for task in (("right", 0), ("both", 0)))


def test_a_named_step_and_everything_after_it_runs(origin: Finished) -> None:
    conf = {"resume": {"run": origin.run, "step": "both"}}
    resuming = Resuming(SampleFlow, origin.store, conf)
    assert resuming.until_one_runs() == TASKS[: TASKS.index(("both", 0))]


def test_after_a_task_that_runs_nothing_is_used_again(origin: Finished) -> None:
    fail(origin, TaskRef("body", "0", 0))
    resuming = Resuming(SampleFlow, origin.store, {"resume": origin.run})
    assert resuming.until_one_runs() == [("start", -1)]
    spec = origin.store.read_spec(RUN, TaskRef("body", "0", 0))
    done = origin.results["body/1"]
    mine = replace(done, run=RUN, task="0", foreach=spec.foreach)
    origin.store.write_result(mine)
    assert resuming.execute("body", 0, try_number=2)  # found as any result of an earlier try
    assert not resuming.execute("left", 0)


def test_a_cleared_task_runs(origin: Finished) -> None:
    resuming = Resuming(SampleFlow, origin.store, {"resume": origin.run})
    assert resuming.execute("start")
    assert not resuming.execute("start", try_number=2, max_tries=3)
    (job,) = resuming.fake.names()
    assert job.endswith("-g1-1")


def test_the_try_after_a_dead_worker_finds_what_was_used_again(origin: Finished) -> None:
    resuming = Resuming(SampleFlow, origin.store, {"resume": origin.run})
    assert resuming.execute("start")
    resuming.xcoms.clear()
    assert resuming.execute("start", try_number=2)
    assert not resuming.fake.jobs


def test_the_try_after_a_worker_that_died_too_early_uses_the_results(origin: Finished) -> None:
    resuming = Resuming(SampleFlow, origin.store, {"resume": origin.run})
    assert resuming.execute("start", try_number=2)
    assert resuming.execute("body", 0, try_number=3)
    assert not resuming.fake.jobs
    refs = TaskRef("start", "0", 0), TaskRef("body", "0", 0)
    start, body = origin.store.read_results(RUN, refs)
    assert start.origin == f"SampleFlow/{origin.run}/start/0/0"
    assert {a.origin for a in body.artifacts.values()} <= {"start/0/0", "body/0/0"}


def test_a_task_that_has_failed_in_this_run_takes_nothing_over_later(origin: Finished) -> None:
    """Its attempt has a result, which is final, though the earlier run has a success by now."""
    ref = TaskRef("start", "0", 0)
    done = origin.store.read_result(origin.run, ref)
    fail(origin, ref)
    resuming = Resuming(SampleFlow, origin.store, {"resume": origin.run})
    assert not resuming.execute("start")
    spec = origin.store.read_spec(RUN, ref)
    commit(origin.store, spec, status="failed", error=ErrorInfo("user", "E", "no"))
    change(origin, ref, **{name: getattr(done, name) for name in ("status", "artifacts", "next", "splits")})  # fmt: skip
    assert not resuming.execute("start", try_number=2)
    assert len(resuming.fake.jobs) == 2


def test_artifacts_say_the_attempt_under_which_they_are_found(origin: Finished) -> None:
    """Of a task that had succeeded at its third attempt, and of one that has inherited from it."""
    store = origin.store
    ref = TaskRef("start", "0", 0)
    start, body = (store.read_result(origin.run, r) for r in (ref, TaskRef("body", "0", 0)))
    fail(origin, ref)

    def renumbered(result: TaskResult, **fields: Any) -> TaskResult:
        third = {n: replace(a, origin="start/0/2") for n, a in result.artifacts.items()}
        return replace(result, artifacts=third, **fields)

    store.write_result(renumbered(start, attempt=2))
    inherited = {n: a for n, a in body.artifacts.items() if a.origin == "start/0/0"}
    assert inherited
    change(origin, body.ref, artifacts=renumbered(replace(body, artifacts=inherited)).artifacts)
    resuming = Resuming(SampleFlow, store, {"resume": origin.run})
    assert resuming.until_one_runs(TASKS[:2]) == TASKS[:2]
    taken = store.read_results(RUN, [ref, body.ref])
    assert taken[0].origin == f"SampleFlow/{origin.run}/start/0/2"
    assert {a.origin for result in taken for a in result.artifacts.values()} == {"start/0/0"}


def test_a_loop_goes_on_where_it_has_failed(tmp_path: Path) -> None:
    origin = run(RepeatFlow, tmp_path, {"times": 3})
    fail(origin, TaskRef("again", "0.2", 0))
    resuming = Resuming(RepeatFlow, origin.store, {"resume": origin.run})
    assert resuming.until_one_runs([("start", -1), ("again", -1)]) == [("start", -1)]
    (job,) = resuming.fake.jobs.values()
    assert job["tags"]["task"] == "0.2"
    spec = origin.store.read_spec(RUN, TaskRef("again", "0.2", 0))
    assert spec.parents == (TaskRef("again", "0.1", 0),)
    assert spec.iteration == 2
    # Had it not failed, all of it would be used.
    again = Resuming(RepeatFlow, origin.store, {"resume": origin.run})
    again.store.storage.delete(list(origin.store.storage.keys(keys.run("RepeatFlow", RUN))))
    change(origin, TaskRef("again", "0.2", 0), status="succeeded", next=("end",))
    tasks = [("start", -1), ("again", -1), ("end", -1)]
    assert again.until_one_runs(tasks) == tasks


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"resume": 3}, r"\(resume\): found 3, expected the id of a run, or"),
        ({"resume": {}}, "found no run"),
        ({"resume": {"runs": "x"}}, "found 'runs', .* Did you mean 'run'"),
        ({"resume": {"run": 1}}, "found run=1, expected a text"),
        ({"resume": {"run": "x", "step": "botch"}}, "found step 'botch', .* Did you mean 'both'"),
        ({"resume": "manual__1"}, "flow SampleFlow has no run 'manual__1'"),
        ({"resume": "p.prod.SampleFlow/1"}, "flow p.prod.SampleFlow has no run '1'"),
        ({"resume": "RepeatFlow/1"}, "found 'RepeatFlow/1', expected a run of flow SampleFlow"),
    ],
)
def test_what_cannot_be_resumed_is_told_without_another_try(
    origin: Finished, conf: dict[str, Any], message: str
) -> None:
    resuming = Resuming(SampleFlow, origin.store, conf)
    with pytest.raises(AirflowFailException, match=message):
        resuming.execute("start")
    with pytest.raises(KeyNotFound):
        origin.store.read_run(RUN)


def test_parameters_are_those_of_the_origin(tmp_path: Path) -> None:
    origin = run(SampleFlow, tmp_path, {"size": 1})
    conf = {"resume": origin.run}
    with pytest.raises(AirflowFailException, match=r"\(size\): found other values than those of"):
        Resuming(SampleFlow, origin.store, {**conf, "size": 5}).execute("start")
    # As Airflow's trigger form sends it, which nobody has touched.
    resuming = Resuming(SampleFlow, origin.store, {**conf, "size": 2})
    assert resuming.execute("start")
    assert origin.store.read_run(RUN).parameters == {"size": 1}


class DefaultsFlow(FlowSpec):
    text = Parameter("text", default=lambda _: "now")
    number = Parameter("number", default="3", type=int)

    @step
    def start(self):
        pass


def test_a_default_that_is_sent_as_the_form_has_it_changes_nothing(tmp_path: Path) -> None:
    origin = run(DefaultsFlow, tmp_path, {"text": "then", "number": 4})
    conf = {"resume": origin.run, "text": None, "number": 3}
    assert Resuming(DefaultsFlow, origin.store, conf).execute("start")
    assert origin.store.read_run(RUN).parameters == {"text": "then", "number": 4}


class TakenNameFlow(FlowSpec):
    resume = Parameter("resume", default="never")

    @step
    def start(self):
        pass


def test_a_param_of_that_name_goes_first(tmp_path: Path) -> None:
    store = FlowDatastore.at(str(tmp_path), "TakenNameFlow")
    resuming = Resuming(TakenNameFlow, store, {"resume": "tomorrow"})
    assert not resuming.execute("start")
    spec = store.read_run(RUN)
    assert (spec.origin, spec.parameters) == (None, {"resume": "tomorrow"})
