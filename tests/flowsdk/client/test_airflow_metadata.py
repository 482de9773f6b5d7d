from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from flowsdk.client import Flow, Metaflow, Run, Task, metadata, namespace
from flowsdk.client.airflow_metadata import AirflowMetadata
from flowsdk.client.selection import current_provider
from flowsdk.datastore import FlowDatastore, keys
from flowsdk.exception import NotFound
from flowsdk.record import TaskRecord
from flowsdk.spec import TaskRef
from flowsdk.taskset import Outcome, SetOutcome
from tests.flowsdk.client.fake_airflow import FakeAirflow, dag_run, serve, task_instance
from tests.flowsdk.client.recorded import record, store_at

GOOD = "manual__2026-11-21T09:01:00.123456+00:00_aB"
FAILED = "scheduled__2026-11-21T09:02:00+00:00"
RUNNING = "manual__2026-11-21T09:03:00+00:00"
FLOW = "HelloFlow"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the jobs of two runs have left in the datastore."""
    root = str(tmp_path_factory.mktemp("airflow") / "root")
    record(root, GOOD)
    record(root, FAILED, alpha="-1")
    return root


def add_task(
    airflow: FakeAirflow, root: str, run: str, ref: TaskRef, state: str, map_index: int = -1
) -> None:
    """A task instance that has ended, with the record that its operator has left."""
    store = store_at(root, FLOW)
    result = store.read_result(run, ref)
    airflow.instances.append(
        task_instance(FLOW, run, ref.step, state, map_index, try_number=ref.attempt + 1)
    )
    task_record = TaskRecord.of(result, store.result_uri(run, ref))
    airflow.records[run, ref.step, map_index] = task_record.to_dict()


@pytest.fixture
def airflow(root: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeAirflow]:
    """An Airflow that knows the two runs and a third that has just begun."""
    with serve() as server:
        server.dags = [FLOW, "OtherFlow"]
        for number, (run, state) in enumerate(
            [(GOOD, "success"), (FAILED, "failed"), (RUNNING, "running")], 1
        ):
            server.dag_runs.append(dag_run(FLOW, run, state, number))
        for run in (GOOD, FAILED):
            add_task(server, root, run, TaskRef("start", "0", 0), "success")
            for index, attempt in enumerate((0, 1, 0)):
                ref = TaskRef("greet", str(index), attempt)
                add_task(server, root, run, ref, "success", index)
            add_task(server, root, run, TaskRef("join", "0", 0), "success")
        add_task(server, root, GOOD, TaskRef("end", "0", 0), "success")
        add_task(server, root, FAILED, TaskRef("end", "0", 0), "failed")
        server.instances += [
            task_instance(FLOW, RUNNING, "start", "deferred"),
            task_instance(FLOW, RUNNING, "greet", None),
            task_instance(FLOW, RUNNING, "join", None),
        ]
        metadata(f"airflow@{server.url}")
        namespace(None)
        yield server


@pytest.fixture(params=["plugin", "public API"], autouse=True)
def access(airflow: FakeAirflow, request: pytest.FixtureRequest) -> str:
    """Everything is the same without the provider's plugin, only slower."""
    airflow.plugin = request.param == "plugin"
    return str(request.param)


def test_flows(airflow: FakeAirflow) -> None:
    assert [flow.id for flow in Metaflow()] == [FLOW, "OtherFlow"]
    with pytest.raises(NotFound, match="No flow 'HelloFow' in airflow@.*Did you mean 'HelloFlow'"):
        Flow("HelloFow")


def test_runs_newest_first_in_one_request(airflow: FakeAirflow) -> None:
    flow = Flow(FLOW)
    airflow.take()
    assert [(run.id, run.status) for run in flow if run.finished] == [
        (FAILED, "failed"),
        (GOOD, "succeeded"),
    ]
    assert airflow.take() == ["POST /api/v2/dags/~/dagRuns/list"]


def test_the_last_successful_runs_data_in_a_handful_of_requests(
    airflow: FakeAirflow, access: str
) -> None:
    run = Flow(FLOW).latest_successful_run
    assert run
    assert run.id == GOOD
    assert run.data.greetings == ["hello ann", "hello bob", "hello cleo"]
    if access == "plugin":
        paths = [request.partition("?")[0] for request in airflow.take()]
        assert paths == [
            "GET /auth/token",
            f"GET /api/v2/dags/{FLOW}",
            "POST /api/v2/dags/~/dagRuns/list",
            "POST /api/v2/dags/~/dagRuns/~/taskInstances/list",
            f"POST /flowprovider/api/dags/{FLOW}/xcoms/list",
        ]


def test_all_tasks_of_a_run_in_two_requests(airflow: FakeAirflow, access: str) -> None:
    run = Run(f"{FLOW}/{GOOD}")
    airflow.take()
    found = {step.id: [(task.id, task.current_attempt) for task in step] for step in run}
    assert found == {
        "end": [("0", 0)],
        "join": [("0", 0)],
        "greet": [("2", 0), ("1", 1), ("0", 0)],
        "start": [("0", 0)],
    }
    assert list(found) == ["end", "join", "greet", "start"]
    if access == "plugin":
        assert len(airflow.take()) == 2


def one_set(airflow: FakeAirflow, root: str, state: str, try_number: int, *, whole: bool) -> None:
    """Let one task instance stand for all tasks of ``greet``, of which all or none are told."""
    store = store_at(root, FLOW)
    airflow.instances = [row for row in airflow.instances if row["task_id"] != "greet"]
    airflow.instances.append(task_instance(FLOW, GOOD, "greet", state, try_number=try_number))
    refs = [TaskRef("greet", str(index), int(index == 1)) for index in range(3)]
    results = store.read_results(GOOD, refs)
    outcome = SetOutcome(FLOW, GOOD, "greet", tuple(map(Outcome.of, results)))
    made = TaskRecord.of(results[0], store.result_uri(GOOD, refs[0]))
    told = replace(made, task="0-*", attempt=1, count=3)
    if whole:
        uri = store.write_set_outcome("0", 1, outcome)
        told = replace(told, result=uri, outcome=uri)
    airflow.records = {key: row for key, row in airflow.records.items() if key[1] != "greet"}
    airflow.records[GOOD, "greet", -1] = told.to_dict()


@pytest.mark.parametrize(
    ("state", "try_number", "whole"),
    [("success", 2, True), ("failed", 2, False), ("deferred", 3, False), ("deferred", 3, True)],
)
def test_the_tasks_that_one_instance_stands_for(
    airflow: FakeAirflow, root: str, state: str, try_number: int, whole: bool
) -> None:
    one_set(airflow, root, state, try_number, whole=whole)
    tasks = list(Run(f"{FLOW}/{GOOD}")["greet"])
    assert [(task.id, task.current_attempt) for task in tasks] == [("2", 0), ("1", 1), ("0", 0)]
    task = Task(f"{FLOW}/{GOOD}/greet/1")
    assert task.successful
    assert task.data.greeting == "hello bob"
    assert [parent.id for parent in task.parent_tasks] == ["0"]
    assert [child.pathspec for child in task.child_tasks] == [f"{FLOW}/{GOOD}/join/0"]


def test_asking_for_one_task_after_another_reads_their_outcomes_once(
    airflow: FakeAirflow, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_set(airflow, root, "success", 2, whole=True)
    read: list[str] = []
    original = FlowDatastore.read_set_outcome

    def counted(store: FlowDatastore, uri: str) -> SetOutcome:
        read.append(uri)
        return original(store, uri)

    monkeypatch.setattr(FlowDatastore, "read_set_outcome", counted)
    assert all(Task(f"{FLOW}/{GOOD}/greet/{index}").successful for index in range(3))
    assert len(read) == 1


@pytest.mark.parametrize(("state", "finished"), [("deferred", False), ("failed", True)])
def test_a_task_of_many_that_has_left_no_result(
    airflow: FakeAirflow, root: str, state: str, finished: bool
) -> None:
    one_set(airflow, root, state, 3, whole=False)
    store = store_at(root, FLOW)
    again = replace(store.read_spec(GOOD, TaskRef("greet", "2", 0)), attempt=2)
    store.write_spec(again)
    try:
        task = Task(f"{FLOW}/{GOOD}/greet/2")
        assert (task.finished, task.successful, task.current_attempt) == (finished, False, 2)
        assert Task(f"{FLOW}/{GOOD}/greet/0").successful
    finally:
        store.storage.delete([keys.spec(FLOW, GOOD, again.ref)])


def specs_of_a_set(store: FlowDatastore, generation: int, tasks: str) -> None:
    """What a try leaves that launches tasks together, in a generation's first."""
    specs = [
        replace(store.read_spec(GOOD, TaskRef("greet", task, int(task == "1"))), attempt=generation)
        for task in tasks
    ]
    store.write_specs(keys.set_name("0", generation, 0), specs)
    for spec in specs:
        store.write_spec(spec)


@pytest.fixture
def clean(root: str) -> Iterator[FlowDatastore]:
    """The datastore, which is afterwards as it was before."""
    store = store_at(root, FLOW)
    before = set(store.storage.keys(""))
    yield store
    store.storage.delete([key for key in store.storage.keys("") if key not in before])


@pytest.mark.parametrize(("state", "finished"), [("deferred", False), ("failed", True)])
def test_tasks_that_were_launched_together_and_of_which_nothing_is_told_yet(
    airflow: FakeAirflow, root: str, clean: FlowDatastore, state: str, finished: bool
) -> None:
    one_set(airflow, root, state, 4, whole=False)
    del airflow.records[GOOD, "greet", -1]
    step = Run(f"{FLOW}/{GOOD}")["greet"]
    # As long as nothing says more, it is one task.
    assert [(task.id, task.current_attempt) for task in step] == [("0", 3)]
    # Of three, which ran before the task was cleared, two are left.
    specs_of_a_set(clean, 0, "012")
    specs_of_a_set(clean, 3, "01")
    current_provider()._snapshots.forget(FLOW, GOOD)  # type: ignore[attr-defined]
    tasks = list(Run(f"{FLOW}/{GOOD}")["greet"])
    assert [(task.id, task.current_attempt) for task in tasks] == [("1", 3), ("0", 3)]
    assert [task.finished for task in tasks] == [finished] * 2


def test_a_run_that_succeeded(airflow: FakeAirflow) -> None:
    run = Run(f"{FLOW}/{GOOD}")
    assert (run.status, run.successful, run.finished) == ("succeeded", True, True)
    assert str(run.created_at) == "2026-11-21 09:01:00.123456+00:00"
    assert str(run.finished_at) == "2026-11-21 09:01:59+00:00"
    assert run.parameters == {"alpha": 0.5}
    assert run.system_tags


def test_a_run_that_failed(airflow: FakeAirflow) -> None:
    run = Run(f"{FLOW}/{FAILED}")
    assert (run.status, run.finished) == ("failed", True)
    task = run["end"].task
    assert task
    assert (task.finished, task.successful) == (True, False)
    assert task.exception
    assert task.exception.exception == "alpha is negative"
    assert "RuntimeError" in task.stderr


def test_a_run_that_runs(airflow: FakeAirflow) -> None:
    run = Run(f"{FLOW}/{RUNNING}")
    assert (run.status, run.finished, run.finished_at) == ("running", False, None)
    assert run.end_task is None
    assert run.data is None
    assert [step.id for step in run] == ["start"]
    task = run["start"].task
    assert task
    assert (task.finished, task.current_attempt, task.finished_at) == (False, 0, None)
    with pytest.raises(NotFound, match="Set FLOWSDK_DATASTORE"):
        _ = task.stdout


def ask_always() -> None:
    """As if time passed between any two questions."""
    provider = current_provider()
    assert isinstance(provider, AirflowMetadata)
    provider.fresh_seconds = provider._snapshots.fresh_seconds = 0.0


def test_a_sensor_is_no_step(airflow: FakeAirflow) -> None:
    row = task_instance(FLOW, GOOD, "s3_key_sensor", "success")
    airflow.instances.insert(0, {**row, "operator": "S3KeySensor", "operator_name": "S3KeySensor"})
    assert "s3_key_sensor" not in [step.id for step in Run(f"{FLOW}/{GOOD}")]


def test_a_run_is_asked_again_while_it_runs(airflow: FakeAirflow) -> None:
    ask_always()
    run = Run(f"{FLOW}/{RUNNING}")
    task = run["start"].task
    assert task
    assert not (run.finished)
    assert not (task.finished)
    airflow.dag_runs[-1]["state"] = "failed"
    airflow.instances[-3]["state"] = "failed"
    assert run.finished
    assert task.finished


def test_a_task_that_failed_without_a_record(
    airflow: FakeAirflow, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    del airflow.records[FAILED, "end", -1]
    task = Task(f"{FLOW}/{FAILED}/end/0")
    # The other tasks' records say where the datastore is, and there is the job's own result.
    assert task.exception
    assert task.exception.type == "builtins.RuntimeError"
    airflow.records.clear()
    ask_always()
    monkeypatch.setenv("FLOWSDK_DATASTORE", root)
    assert Task(task.pathspec).exception


def test_a_task_that_runs_again_has_no_artifacts(airflow: FakeAirflow) -> None:
    instance = next(row for row in airflow.instances if row["task_id"] == "end")
    instance.update(state="running", try_number=2)
    task = Task(f"{FLOW}/{GOOD}/end/0")
    assert (task.finished, task.current_attempt) == (False, 1)
    assert list(task) == []


def test_another_attempt_can_be_looked_at(airflow: FakeAirflow) -> None:
    first = Task(f"{FLOW}/{GOOD}/greet/1", attempt=0)
    assert first.exception
    assert first.exception.exception == "bob does not hear"


def test_neighbours(airflow: FakeAirflow) -> None:
    join = Task(f"{FLOW}/{GOOD}/join/0")
    assert [task.id for task in join.parent_tasks] == ["0", "1", "2"]
    assert join.parent_tasks[0].child_tasks == [join]


def test_a_run_that_airflow_has_deleted(
    airflow: FakeAirflow, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    airflow.dag_runs.clear()
    airflow.instances.clear()
    airflow.records.clear()
    with pytest.raises(NotFound, match="has no run"):
        Run(f"{FLOW}/{GOOD}")
    monkeypatch.setenv("FLOWSDK_DATASTORE", root)
    ask_always()
    run = Run(f"{FLOW}/{GOOD}")
    assert run.successful
    assert run["greet"]["1"].data.greeting == "hello bob"


def test_a_flow_in_a_project_goes_by_the_name_of_its_dag(airflow: FakeAirflow) -> None:
    dag = f"shop.user.ann.{FLOW}"
    airflow.dags = [dag]
    for row in (*airflow.dag_runs, *airflow.instances):
        row["dag_id"] = dag
    with pytest.raises(NotFound, match=f"No flow '{FLOW}'.*Did you mean '{dag}'"):
        Flow(FLOW)
    run = Flow(dag).latest_successful_run
    assert run
    assert run.pathspec == f"{dag}/{GOOD}"
    assert run["greet"]["1"].data.greeting == "hello bob"
    assert run["greet"]["1"].stdout == "greeting bob\n"
    assert Task(f"{dag}/{GOOD}/greet/1", attempt=0).exception
    assert run.parameters == {"alpha": 0.5}


def test_objects_can_be_pickled(airflow: FakeAirflow, tmp_path: Path) -> None:
    task = Task(f"{FLOW}/{GOOD}/greet/1")
    data = pickle.dumps(task)
    metadata(f"local@{tmp_path}")
    copy: Any = pickle.loads(data)
    assert copy == task
    assert copy.data.greeting == "hello bob"


@pytest.mark.parametrize("access", ["plugin"], indirect=True)
def test_many_tasks_come_in_pages(airflow: FakeAirflow) -> None:
    row = next(r for r in airflow.instances if r["dag_run_id"] == GOOD and r["map_index"] == 0)
    values = dict(airflow.records[GOOD, "greet", 0])
    for index in range(3, 2100):
        airflow.instances.append({**row, "map_index": index})
        airflow.records[GOOD, "greet", index] = {**values, "task": str(index)}
    run = Run(f"{FLOW}/{GOOD}")
    airflow.take()
    assert sum(1 for _ in run["greet"]) == 2100
    assert len(airflow.take()) == 3 + 1
