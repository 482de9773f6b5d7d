"""Spinning one task of an earlier run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from flowsdk import FlowSpec, Task, default_metadata, get_metadata, inspect_spin, namespace
from flowsdk.artifacts.scope import Scope
from flowsdk.datastore import FlowDatastore, open_storage
from flowsdk.datastore.layered import LayeredStorage
from flowsdk.exception import NotFound, UsageError
from flowsdk.local.spin import Spin, SpinOptions
from flowsdk.spec import TaskResult
from tests.flowsdk.flows import import_flow, run_flow, write_flow
from tests.flowsdk.running import Finished, run

FLOW = """
import os
from flowsdk import parallel

class F(FlowSpec):
    alpha = Parameter("alpha", default=1)

    @step
    def start(self):
        self.base = self.alpha * 10
        self.xs = "ab"
        self.next(self.body, foreach="xs")

    @environment(vars={"DECORATED": "yes"})
    @step
    def body(self):
        self.y = (self.input, self.base, os.environ.get("DECORATED"), current.origin_run_id)
        print("body of", self.input)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.ys = [i.y for i in inputs]
        self.merge_artifacts(inputs, exclude=["y"])
        self.next(self.loop)

    @step
    def loop(self):
        self.n = getattr(self, "n", 0) + 1
        self.go = self.n < 2
        self.next({True: self.loop, False: self.gang}, condition="go")

    @step
    def gang(self):
        self.next(self.train, num_parallel=2)

    @parallel
    @step
    def train(self):
        self.next(self.done)

    @step
    def done(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass
"""


@pytest.fixture
def flow(tmp_path: Path) -> type[FlowSpec]:
    return import_flow(tmp_path, FLOW)


@pytest.fixture
def past(tmp_path: Path, flow: type[FlowSpec]) -> Finished:
    finished = run(flow, tmp_path, {"alpha": 2})
    assert finished.succeeded, finished.error()
    return finished


def spun(
    folder: Path, flow: type[FlowSpec], pathspec: str, **options: Any
) -> tuple[TaskResult, Mapping[str, Any], list[str]]:
    """The result, the values of the task's own artifacts, what it printed."""
    printed: list[str] = []
    scratch = str(folder / "scratch")
    how = SpinOptions(root=str(folder / "store"), scratch=scratch, **options)
    spin = Spin(flow, pathspec, how)
    result = spin.execute(lambda _, lines: printed.extend(line.text for line in lines))
    refs = {n: ref for n, ref in result.artifacts.items() if ref.origin == str(result.ref)}
    storage = LayeredStorage(open_storage(scratch), open_storage(how.root))
    scope = Scope(storage, FlowDatastore(storage, "F").blobs, refs)
    return result, {name: scope.load(name) for name in refs}, printed


def test_a_task_runs_again_with_the_inputs_it_had(
    tmp_path: Path, flow: type[FlowSpec], past: Finished
) -> None:
    before = {key: past.store.storage.read(key) for key in past.store.storage.keys("F/")}
    result, values, printed = spun(tmp_path, flow, f"{past.run}/body/1")
    assert result.succeeded, result.error
    assert values == {"y": ("b", 20, "yes", past.run)}
    assert printed == ["body of b"]
    assert result.run != past.run
    assert {key: past.store.storage.read(key) for key in past.store.storage.keys("F/")} == before


@pytest.mark.parametrize(
    ("pathspec", "task"),
    [
        ("body", "body/0"),
        ("{run}/body", "body/0"),
        ("F/{run}/body/1", "body/1"),
        ("loop", "loop/0"),
        ("{run}/loop/0.1", "loop/0.1"),
        ("start", "start/0"),
        ("join", "join/0"),
    ],
)
def test_which_task_a_pathspec_means(
    tmp_path: Path, flow: type[FlowSpec], past: Finished, pathspec: str, task: str
) -> None:
    result, values, _ = spun(tmp_path, flow, pathspec.format(run=past.run))
    assert result.succeeded, result.error
    assert f"{result.step}/{result.task}" == task
    own = past.results[task].artifacts
    assert set(values) == {n for n, ref in own.items() if ref.origin == f"{task}/0"}


def test_without_the_decorators(tmp_path: Path, flow: type[FlowSpec], past: Finished) -> None:
    _, values, _ = spun(tmp_path, flow, f"{past.run}/body/0", skip_decorators=True)
    assert values["y"][2] is None


@pytest.mark.parametrize(
    ("pathspec", "artifacts", "name", "value"),
    [
        ("body/0", {"base": 7}, "y", ("a", 7, "yes")),
        ("join/0", {"body/1": {"y": "other"}}, "ys", [("a", 20, "yes"), "other"]),
        ("start/0", {"alpha": 5}, "base", 50),
    ],
)
def test_artifacts_that_are_replaced(
    tmp_path: Path,
    flow: type[FlowSpec],
    past: Finished,
    pathspec: str,
    artifacts: Mapping[str, Any],
    name: str,
    value: Any,
) -> None:
    result, values, _ = spun(tmp_path, flow, f"{past.run}/{pathspec}", artifacts=artifacts)
    assert result.succeeded, result.error
    found = values[name]
    shortened = {
        "y": lambda: found[:3],
        "ys": lambda: [y[:3] if y != "other" else y for y in found],
    }
    assert shortened.get(name, lambda: found)() == value


def test_what_the_task_was_given_is_kept_if_asked_for(
    tmp_path: Path, flow: type[FlowSpec], past: Finished, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLOWSDK_DATASTORE", str(tmp_path / "store"))
    how = SpinOptions(str(tmp_path / "store"), str(tmp_path / ".flowsdk_spin"), keep=True)
    result = Spin(flow, "body", how).execute(lambda _, __: None)
    namespace(None)
    try:
        assert inspect_spin(str(tmp_path)) == f"local@{tmp_path}/.flowsdk_spin"
        task = Task(result.pathspec)
        assert (task.data.y[0], task.data.base, task.data.alpha) == ("a", 20, 2)
        with pytest.raises(NotFound):
            Task(f"F/{past.run}/body/0")
    finally:
        default_metadata()
    assert get_metadata() == f"local@{tmp_path}/store"


@pytest.mark.parametrize(
    ("pathspec", "message"),
    [
        ("bdoy", "the flow has no step 'bdoy', expected one of start, "),
        ("bdoy", "Did you mean 'body'?"),
        ("{run}/bdoy", "has no task of step 'bdoy', expected one of body, "),
        ("{run}/body/7", "has no task '7'"),
        ("nothing/body", "flow F has no run 'nothing'"),
        ("{run}/train/0", "found a task of a gang, expected one that runs by itself"),
        ("a/b/c/d", "expected STEP, RUN/STEP or RUN/STEP/TASK."),
    ],
)
def test_what_cannot_be_spun(
    tmp_path: Path, flow: type[FlowSpec], past: Finished, pathspec: str, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        spun(tmp_path, flow, pathspec.format(run=past.run))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("pathspec", "artifacts", "message"),
    [
        ("join", {"y": 1}, "found 'y', expected a dictionary for each input, such as 'body/0'"),
        ("start", {"aplha": 1}, "found 'aplha', expected parameters"),
        ("start", {"alpha": object()}, "object is not JSON serializable, expected values of param"),
    ],
)
def test_artifacts_that_fit_no_place(
    tmp_path: Path,
    flow: type[FlowSpec],
    past: Finished,
    pathspec: str,
    artifacts: Mapping[str, Any],
    message: str,
) -> None:
    with pytest.raises(UsageError, match=message):
        spun(tmp_path, flow, f"{past.run}/{pathspec}", artifacts=artifacts)


def test_on_the_command_line(tmp_path: Path) -> None:
    path = write_flow(tmp_path, FLOW + "if __name__ == '__main__':\n    F()\n")
    assert run_flow(path, "run").returncode == 0
    (tmp_path / "mine.py").write_text("ARTIFACTS = {'base': 1 / 2}\n")
    done = run_flow(path, "spin", "body", "--artifacts-module", "mine.py")
    assert done.returncode == 0, done.stderr
    assert "body of a" in done.stdout
    last = done.stdout.splitlines()[-1]
    assert last.startswith("y [size: ")
    assert "type: <class 'tuple'>] = ('a', 0.5, 'yes'" in last
    assert len(FlowDatastore.at(str(tmp_path / ".flowsdk"), "F").runs()) == 1
    assert not (tmp_path / ".flowsdk_spin").exists()
    kept = run_flow(path, "spin", "body", "--persist")
    assert "is kept in .flowsdk_spin; read it after inspect_spin()." in kept.stdout
    assert (tmp_path / ".flowsdk_spin" / "F").is_dir()
    (tmp_path / "mine.py").write_text("ARTIFACTS = {'xs': 5}\n")
    failed = run_flow(path, "spin", "start", "--artifacts-module", "mine.py")
    assert failed.returncode == 2
    assert "found 'xs', expected parameters" in failed.stderr
    missing = run_flow(path, "spin", "start", "--artifacts-module", "other.py")
    assert (missing.returncode, "found no such file" in missing.stderr) == (2, True)
    (tmp_path / "mine.py").write_text("ARTIFACTS = {'xs': 1 / 0}\n")
    failed = run_flow(path, "spin", "body", "--artifacts-module", "mine.py")
    assert failed.returncode == 2
    assert failed.stderr.splitlines()[-1].strip() == "ZeroDivisionError: division by zero"
    assert "spin.py" not in failed.stderr
    assert "runpy" not in failed.stderr


def test_the_content_of_a_file_that_a_run_was_given_can_be_replaced(tmp_path: Path) -> None:
    body = """
    from flowsdk import IncludeFile

    class F(FlowSpec):
        words = IncludeFile("words", default="words.txt", parser=lambda text: text.split())
        @step
        def start(self):
            self.seen = self.words
            self.next(self.end)
        @step
        def end(self):
            pass
    """
    (tmp_path / "words.txt").write_text("a b")
    flow = import_flow(tmp_path, body)
    past = run(flow, tmp_path)
    assert past.value("start/0", "seen") == ["a", "b"]
    result, values, _ = spun(tmp_path, flow, f"{past.run}/start", artifacts={"words": "c d e"})
    assert result.succeeded, result.error
    assert values["seen"] == ["c", "d", "e"]


def test_a_failing_task_ends_with_its_error(tmp_path: Path) -> None:
    body = """
    class F(FlowSpec):
        @step
        def start(self):
            self.next(self.end)
        @step
        def end(self):
            raise ValueError("still broken")
    if __name__ == "__main__":
        F()
    """
    path = write_flow(tmp_path, body)
    assert run_flow(path, "run").returncode == 1
    done = run_flow(path, "spin", "end")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ValueError: still broken"
