from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from airflow_flowprovider.operators.progress import Progress
from flowsdk import FlowSpec, parallel, step
from flowsdk.datastore import FlowDatastore
from flowsdk.flow import graph_of
from flowsdk.planning import task_id
from flowsdk.spec import ErrorInfo, Splits, TaskRef, TaskSpec
from flowsdk.succession import Planned
from tests.airflow_flowprovider.operators.fakes import FLOW, RUN
from tests.flowsdk.aws_batch.fakes import commit, succeed

USER = ErrorInfo("user", "builtins.ValueError", "no")
SYSTEM = ErrorInfo("system", "flowsdk.aws_batch.NotStarted", "no")
SPLITS = Splits("xs", 3, "digest", tuple("abc"))
GANG = Splits("", 2, "", ("0", "1"))


class LoopFlow(FlowSpec):
    @step
    def start(self):
        self.again = False
        self.next({True: self.start, False: self.end}, condition="again")

    @step
    def end(self):
        self.next(self.gang, num_parallel=2)

    @parallel
    @step
    def gang(self): ...


def spec(task: str, attempt: int = 0, step: str = "start") -> TaskSpec:
    return TaskSpec(FLOW, RUN, step, task, attempt, "root")


def progress(
    store: FlowDatastore, splits: Splits = SPLITS, attempt: int = 0, step: str = "start"
) -> Progress:
    tasks = [Planned((), (splits.frame("opener", n),)) for n in range(splits.count)]

    def make(task: Planned, iteration: int) -> TaskSpec:
        made = spec(task_id(task.foreach, iteration), attempt, step)
        return replace(made, parents=task.parents)

    return Progress(store, graph_of(LoopFlow)[step], tasks, make)


def pending(made: Progress) -> Sequence[str]:
    return [spec.task for unit in made.pending() for spec in made.specs(unit)]


def test_each_task_loops_as_often_as_it_wants(store: FlowDatastore) -> None:
    made = progress(store)
    succeed(store, spec("0"), next=("end",))
    for task in ("1", "2", "2.1"):
        succeed(store, spec(task), next=("start",))
    made.look([0])
    assert pending(made) == ["1.1", "2.2"]
    parents = [spec.parents for unit in made.pending() for spec in made.specs(unit)]
    assert parents == [(TaskRef("start", "1", 0),), (TaskRef("start", "2.1", 0),)]
    succeed(store, spec("1.1"), next=("end",))
    commit(store, spec("2.2"), status="failed", error=USER)
    made.look([0])
    assert pending(made) == ["2.2"]
    assert made.pending()[0].failed is not None


def test_a_retry_goes_on_in_the_iteration_that_has_failed(store: FlowDatastore) -> None:
    succeed(store, spec("0"), next=("start",))
    succeed(store, spec("1"), next=("end",))
    succeed(store, spec("2", 1), next=("end",))  # of an earlier attempt that was retried
    commit(store, spec("0.1"), status="failed", error=USER)
    made = progress(store, attempt=2)
    made.look([0, 1, 2])
    assert pending(made) == ["0.1"]
    assert made.pending()[0].failures == 1
    succeed(store, spec("0.1", 2), next=("end",))
    made.look([0, 1, 2])
    assert not made.pending()
    assert [str(result.ref) for result in made.results()] == [
        "start/0/0",
        "start/0.1/2",
        "start/1/0",
        "start/2/1",
    ]


def test_what_was_tried_before_a_clear_does_not_count(store: FlowDatastore) -> None:
    for task in ("0", "1", "2"):
        succeed(store, spec(task), next=("end",))
    made = progress(store, attempt=1)
    made.look([1])
    assert pending(made) == ["0", "1", "2"]


def test_only_what_users_did_counts_as_their_failure(store: FlowDatastore) -> None:
    for attempt, error in enumerate((SYSTEM, USER, SYSTEM, USER)):
        commit(store, spec("1", attempt), status="failed", error=error)
    made = progress(store, attempt=4)
    made.look([0, 1, 2, 3, 4])
    assert [unit.failures for unit in made.units] == [0, 2, 0]
    assert [made.specs(unit)[0].retry_count for unit in made.units] == [0, 2, 0]


def test_what_is_known_of_losses(store: FlowDatastore) -> None:
    oom = ErrorInfo("user", "flowsdk.aws_batch.OutOfMemory", "no")
    errors = {
        "0": (oom, SYSTEM, oom),
        "1": (SYSTEM, ErrorInfo("system", "flowsdk.exception.DatastoreError", "no")),
        "2": (oom, ErrorInfo("user", "builtins.MemoryError", "no")),
    }
    for task, found in errors.items():
        for attempt, error in enumerate(found):
            commit(store, spec(task, attempt), status="failed", error=error)
    made = progress(store, attempt=3)
    made.look(range(4))
    assert [unit.ooms for unit in made.units] == [2, 0, 2]
    assert [unit.lost for unit in made.units] == [oom, SYSTEM, None]


@pytest.mark.parametrize("last", [True, False])
def test_the_last_attempt_of_what_was_lost_is_for_catch(store: FlowDatastore, last: bool) -> None:
    commit(store, spec("0"), status="failed", error=SYSTEM)

    def make(task: Planned, iteration: int) -> TaskSpec:
        return replace(spec(task_id(task.foreach, iteration), 1), catches=True)

    made = Progress(store, graph_of(LoopFlow)["start"], [Planned()], make, last=last)
    made.look([0, 1])
    (found,) = made.specs(made.units[0])
    assert found.lost == (SYSTEM if last else None)


@pytest.mark.parametrize("whole", [True, False])
def test_a_gang_has_succeeded_if_all_of_it_has_in_the_same_attempt(
    store: FlowDatastore, whole: bool
) -> None:
    succeed(store, spec("0", 0, "gang"))
    commit(store, spec("1", 0, "gang"), status="failed", error=SYSTEM)
    succeed(store, spec("1", 1, "gang"))
    if whole:
        succeed(store, spec("0", 1, "gang"))
    made = progress(store, GANG, 1, "gang")
    made.look([0, 1])
    assert len(made.units) == 1
    assert pending(made) == ([] if whole else ["0", "1"])
