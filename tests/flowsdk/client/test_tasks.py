from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from flowsdk.client import DataArtifact, Step, Task, metadata
from flowsdk.exception import ClientError, InvalidPathspec, NotFound, UsageError
from flowsdk.spec import TaskRef, TaskSpec
from tests.flowsdk.client.conftest import Recorded
from tests.flowsdk.client.recorded import forget_end, record, store_at


@pytest.fixture
def bob(runs: Recorded) -> Task:
    """The task whose first attempt failed."""
    return Task(f"HelloFlow/{runs.good}/greet/1")


def test_the_newest_successful_attempt_counts(bob: Task) -> None:
    assert bob.current_attempt == 1
    assert bob.successful
    assert bob.finished
    assert bob.exception is None
    assert bob.index == 1
    assert bob.created_at
    assert bob.finished_at
    assert bob.created_at < bob.finished_at


def test_another_attempt_can_be_looked_at(bob: Task) -> None:
    first = Task(bob.pathspec, attempt=0)
    assert first.current_attempt == 0
    assert not first.successful
    assert first.finished
    assert first.exception
    assert first.exception.type == "builtins.ValueError"
    assert first.exception.exception == "bob does not hear"
    assert "hello_flow.py" in first.exception.stacktrace
    assert "flowsdk/runtime" not in first.exception.stacktrace
    assert str(first.exception).endswith("ValueError: bob does not hear")
    assert list(first) == []
    assert "bob does not hear" in first.stderr


def test_an_attempt_that_never_was(bob: Task) -> None:
    with pytest.raises(NotFound, match="has no attempt 7, expected one of 0, 1"):
        Task(bob.pathspec, attempt=7)


def test_artifacts_are_loaded_when_touched(runs: Recorded) -> None:
    start = Step(f"HelloFlow/{runs.good}/start").task
    assert start
    assert start.data.names == ["ann", "bob", "cleo"]
    assert start["names"].data == start.data.names
    assert start.artifacts.names.data == start.data.names
    assert list(start.data) == ["alpha", "long", "names"]
    assert [artifact.id for artifact in start] == list(start.data)
    assert {"names", "alpha"} <= set(dir(start.data))
    assert "names" in start.data


def test_private_artifacts_are_readable_but_not_listed(runs: Recorded) -> None:
    start = Step(f"HelloFlow/{runs.good}/start").task
    assert start
    assert start.data._private == 1
    assert start["_private"].data == 1
    assert "_private" not in list(start.data)
    assert start.artifact_names(private=True) == ["_private", "alpha", "long", "names"]


def test_an_artifact_that_is_not_there(bob: Task) -> None:
    message = "has no artifact 'greting'. Did you mean 'greeting'"
    with pytest.raises(AttributeError, match=message):
        _ = bob.data.greting
    with pytest.raises(KeyError, match=message):
        bob["greting"]
    assert not hasattr(bob.data, "greting")
    with pytest.raises(NotFound, match=message):
        DataArtifact(f"{bob.pathspec}/greting")


def test_an_artifact_describes_itself(bob: Task) -> None:
    artifact = DataArtifact(f"{bob.pathspec}/greeting")
    assert artifact == bob["greeting"]
    assert artifact.data == "hello bob"
    assert artifact.type == "builtins.str"
    assert artifact.preview == "'hello bob'"
    assert artifact.size > 0
    assert artifact.sha == bob.artifacts.greeting.sha
    assert artifact.sha != bob.parent["0"]["greeting"].sha
    assert artifact.finished_at == bob.finished_at
    assert artifact.created_at == bob.created_at
    assert artifact.parent == bob


def test_an_artifact_of_a_class_that_is_not_here(
    bob: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact = bob["greeting"]

    def unknown(*_: object) -> None:
        raise AttributeError("Can't get attribute 'Model' on <module '__main__'>")

    monkeypatch.setattr("flowsdk.artifacts.scope.deserialize", unknown)
    with pytest.raises(ClientError, match="cannot be loaded here.*'Model'"):
        _ = artifact.data


def test_logs_by_stream(runs: Recorded) -> None:
    start = Task(f"HelloFlow/{runs.good}/start/0")
    assert start.stdout == "starting with 0.5\n"
    assert start.stderr == "a warning\n"
    lines = list(start.loglines("both"))
    assert sorted(text for _, text in lines) == ["a warning", "starting with 0.5"]
    assert start.created_at
    assert abs((lines[0][0] - start.created_at).total_seconds()) < 60
    assert [text for _, text in start.loglines("stderr")] == ["a warning"]
    with pytest.raises(UsageError, match="Did you mean 'stdout'"):
        list(start.loglines("stdot"))  # type: ignore[arg-type]


def test_neighbours(runs: Recorded) -> None:
    run = f"HelloFlow/{runs.good}"
    splits = [Task(f"{run}/greet/{index}") for index in range(3)]
    start, join = Task(f"{run}/start/0"), Task(f"{run}/join/0")
    assert start.parent_tasks == []
    assert start.child_tasks == splits
    assert all(split.parent_tasks == [start] for split in splits)
    assert all(split.child_tasks == [join] for split in splits)
    assert join.parent_tasks == splits
    assert join.child_tasks == [Task(f"{run}/end/0")]
    assert join.child_tasks[0].child_tasks == []
    assert join.index is None


def test_facts_about_an_attempt(bob: Task) -> None:
    facts = bob.metadata_dict
    assert facts["attempt"] == 1
    assert facts["status"] == "succeeded"
    assert facts["host"]
    assert facts["flowsdk_version"]
    assert facts["aws-batch-job-id"] is None


def test_tasks_and_artifacts_can_be_pickled(bob: Task) -> None:
    first = Task(bob.pathspec, attempt=0)
    copy = pickle.loads(pickle.dumps(first))
    assert copy == first != bob
    assert copy.current_attempt == 0
    artifact = pickle.loads(pickle.dumps(bob["greeting"]))
    assert artifact.data == "hello bob"
    assert artifact.finished_at == bob.finished_at
    assert pickle.loads(pickle.dumps(bob.data)).greeting == "hello bob"


def test_what_does_not_exist_is_named(runs: Recorded) -> None:
    with pytest.raises(NotFound, match="has no task '9'"):
        Task(f"HelloFlow/{runs.good}/greet/9")
    with pytest.raises(NotFound, match="has no step 'gret'. Did you mean 'greet'"):
        Task(f"HelloFlow/{runs.good}/gret/0")
    with pytest.raises(InvalidPathspec, match="expected flow/run/step/task/artifact"):
        DataArtifact(f"HelloFlow/{runs.good}/greet/0")


def _launch_again(root: str, run: str, step: str, attempt: int) -> None:
    """An attempt that has been launched and has no result."""
    store = store_at(root)
    spec: TaskSpec = store.read_spec(run, TaskRef(step, "0", 0))
    values = {**spec.to_dict(), "attempt": attempt}
    store.write_spec(TaskSpec.from_dict(values))


def test_a_task_that_is_tried_again_is_running(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    run = record(root, alpha="-1")
    forget_end(store_at(root), run)
    _launch_again(root, run, "end", 1)
    metadata(f"local@{root}")
    task = Task(f"HelloFlow/{run}/end/0")
    assert (task.current_attempt, task.finished, task.finished_at) == (1, False, None)
    assert task.exception is None
    assert not Task(task.pathspec, attempt=1).finished
    assert Task(task.pathspec, attempt=0).exception
    with pytest.raises(AttributeError, match="the task is running"):
        _ = task.data.greetings


def test_a_task_that_left_no_result_failed_with_its_run(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    run = record(root, alpha="-1")
    _launch_again(root, run, "end", 1)
    metadata(f"local@{root}")
    task = Task(f"HelloFlow/{run}/end/0")
    assert (task.current_attempt, task.finished, task.successful) == (1, True, False)
    # Its last attempt left nothing; the one before says what was wrong.
    assert task.exception
    assert task.exception.exception == "alpha is negative"


def test_a_later_attempt_without_success_does_not_hide_an_earlier_one(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    run = record(root)
    _launch_again(root, run, "end", 1)
    metadata(f"local@{root}")
    task = Task(f"HelloFlow/{run}/end/0")
    assert (task.current_attempt, task.successful) == (0, True)
    assert len(task.data.greetings) == 3
