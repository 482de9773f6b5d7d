"""Where, when and with what a task ran, and from which run it comes."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from flowsdk import package
from flowsdk.client import MetaflowCode, Run, Task, metadata
from flowsdk.exception import ClientError
from flowsdk.local.resume import resume
from flowsdk.local.run import RunOptions
from flowsdk.local.scheduler import Listener
from flowsdk.spec import TaskRef
from flowsdk.version import VERSION
from tests.flowsdk.client import hello_flow
from tests.flowsdk.client.conftest import USER, Recorded
from tests.flowsdk.client.recorded import record, store_at
from tests.flowsdk.client.shapes import GangFlow


def test_metadata_is_a_list_of_facts_and_a_dictionary(runs: Recorded) -> None:
    task = Task(f"HelloFlow/{runs.good}/greet/1")
    facts = task.metadata_dict
    assert facts["attempt"] == 1
    assert facts["user"] == USER
    assert facts["runtime"] == "local"
    assert facts["ds-type"] == "local"
    assert facts["ds-root"] == runs.root
    assert facts["flowsdk_version"] == VERSION
    assert facts["script-name"].endswith("hello_flow.py")
    assert "origin-run-id" not in facts
    listed = {fact.name: fact.value for fact in task.metadata}
    assert listed == {name: value for name, value in facts.items() if value is not None}
    fact = next(fact for fact in task.metadata if fact.name == "attempt")
    assert (fact.value, fact.type, fact.task) == (1, "attempt", task)
    assert fact.created_at == task.finished_at


def test_environment_and_runtime(runs: Recorded) -> None:
    task = Task(f"HelloFlow/{runs.good}/start/0")
    info = task.environment_info
    assert info
    assert info["type"] == "local"
    assert info["flowsdk_version"] == VERSION
    assert task.parent.environment_info == info
    assert task.runtime_name == "local"
    assert f"runtime:{task.runtime_name}" in task.system_tags


def test_sizes_of_logs_are_in_bytes(runs: Recorded) -> None:
    task = Task(f"HelloFlow/{runs.good}/start/0")
    assert (task.stdout_size, task.stderr_size) == (len(task.stdout), len("a warning\n"))


@pytest.fixture
def own_root(recorded: Recorded, tmp_path: Path) -> str:
    """A datastore with the document of a run, for a test to write to."""
    root = str(tmp_path / "root")
    store_at(root).write_run(store_at(recorded.root).read_run(recorded.good))
    metadata(f"local@{root}")
    return root


@pytest.fixture
def packaged(own_root: str, recorded: Recorded) -> MetaflowCode:
    """The code of a run whose tasks do not run in the process that starts it."""
    store = store_at(own_root)
    built = package.build(Path(hello_flow.__file__))
    spec = replace(
        store.read_run(recorded.good),
        run="packaged",
        code=package.upload(store, built),
        script=built.script,
    )
    store.write_run(spec)
    code = Run("HelloFlow/packaged").code
    assert code
    return code


def test_the_code_of_a_run(packaged: MetaflowCode, own_root: str) -> None:
    assert packaged.script_name == "hello_flow.py"
    assert "class HelloFlow(FlowSpec)" in packaged.flowspec
    assert packaged.path.startswith(f"{own_root}/HelloFlow/code/")
    assert packaged.info["sha256"] == hashlib.sha256(Path(packaged.path).read_bytes()).hexdigest()
    with packaged.tarball as archive:
        assert "hello_flow.py" in archive.getnames()
    with packaged.extract() as folder:
        assert (Path(folder) / "hello_flow.py").read_text() == packaged.flowspec
    assert not Path(folder).exists()


def test_code_that_is_not_what_its_name_says(packaged: MetaflowCode) -> None:
    Path(packaged.path).write_bytes(b"something else")
    code = Run("HelloFlow/packaged").code
    assert code
    with pytest.raises(ClientError, match="expected that of its name"):
        _ = code.flowspec


def test_tasks_that_run_in_the_process_of_the_run_have_no_package(runs: Recorded) -> None:
    run = Run(f"HelloFlow/{runs.good}")
    assert run.code is None
    assert run["start"].task.code is None  # type: ignore[union-attr]


def test_what_has_started_a_run(own_root: str, recorded: Recorded) -> None:
    spec = store_at(recorded.root).read_spec(recorded.good, TaskRef("start", "0", 0))
    run = Run(f"HelloFlow/{recorded.good}")
    assert run.trigger is None, "it has not begun"
    event = {"name": "data_ready", "id": "1", "timestamp": 0.0, "type": "event"}
    store_at(own_root).write_spec(replace(spec, facts={"trigger": [event]}))
    assert run.trigger
    assert run.trigger.event
    assert run.trigger.event.name == "data_ready"


def test_no_event_has_started_a_run(runs: Recorded) -> None:
    assert Run(f"HelloFlow/{runs.good}").trigger is None


@pytest.fixture
def resumed(tmp_path: Path) -> tuple[Run, Run]:
    """A run that failed in its last step, and one that resumed it."""
    root = str(tmp_path / "root")
    origin = record(root, alpha="-1")
    again = resume(hello_flow.HelloFlow, RunOptions(root), lambda *_: None, origin_run=origin)
    again.execute(Listener(lambda *_: None, lambda *_: None))
    metadata(f"local@{root}")
    return Run(f"HelloFlow/{origin}"), Run(f"HelloFlow/{again.run.run}")


def test_a_resumed_run_says_where_its_tasks_come_from(resumed: tuple[Run, Run]) -> None:
    origin, run = resumed
    assert run.origin_pathspec == origin.pathspec
    assert run["greet"].origin_pathspec == f"{origin.pathspec}/greet"
    task = run["greet"]["1"]
    assert task.origin_pathspec == f"{origin.pathspec}/greet/1"
    assert task["greeting"].origin_pathspec == f"{origin.pathspec}/greet/1/greeting"
    facts = task.metadata_dict
    assert (facts["origin-run-id"], facts["origin-task-id"]) == (origin.id, "1")
    assert run["end"].origin_pathspec is None
    assert run["end"]["0"].origin_pathspec is None
    assert origin.origin_pathspec is None
    assert run.parent.origin_pathspec is None


def test_what_a_resumed_run_did_not_run_is_read_as_if_it_had(resumed: tuple[Run, Run]) -> None:
    origin, run = resumed
    assert [step.id for step in run] == ["end", "join", "greet", "start"]
    task = run["greet"]["1"]
    there = origin["greet"]["1"]
    assert task.data.greeting == "hello bob"
    assert task["greeting"].sha == there["greeting"].sha
    assert task.stdout == there.stdout == "greeting bob\n"
    assert [parent.pathspec for parent in task.parent_tasks] == [f"{run.pathspec}/start/0"]
    assert [child.pathspec for child in task.child_tasks] == [f"{run.pathspec}/join/0"]


def test_a_gang_has_a_control_task(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    name = record(root, flow=GangFlow)
    metadata(f"local@{root}")
    run = Run(f"GangFlow/{name}")
    train = run["train"]
    assert [task.id for task in train] == ["2", "1", "0"]
    assert train.control_task == train["0"]
    assert list(train.control_tasks()) == [train["0"]]
    assert list(train.control_tasks("no such tag")) == []
    assert run["join"].control_task is None


def test_a_task_with_nothing_but_a_result_is_found(own_root: str, recorded: Recorded) -> None:
    store = store_at(own_root)
    result = store_at(recorded.root).read_result(recorded.good, TaskRef("end", "0", 0))
    store.write_result(replace(result, run="copied"))
    assert store.attempts("copied") == {"end": {"0": [TaskRef("end", "0", 0)]}}
