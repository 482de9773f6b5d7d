"""Where a graph finds the source of its flow and steps, and what it says of places in it."""

from __future__ import annotations

import functools
import textwrap
import zipfile
from pathlib import Path
from types import ModuleType

import pytest

from flowsdk import FlowSpec, retry, step
from flowsdk.exception import FlowException
from flowsdk.graph import FlowGraph
from tests.flowsdk.flows import import_flow


def test_lines_are_those_of_the_def_below_decorators_and_wrappers() -> None:
    def traced(function):
        @functools.wraps(function)
        def wrapper(*args):
            return function(*args)

        return wrapper

    class Decorated(FlowSpec):
        def helper(self):
            pass

        @retry(
            times=2,
        )
        @step
        @traced
        def start(this):
            this.next(
                this.end,
            )

        @step
        def end(self):
            pass

    graph = FlowGraph.from_flow(Decorated)
    source = Path(__file__).read_text("utf-8").splitlines()
    start = graph["start"]
    assert source[start.line - 1].strip() == "def start(this):"
    assert source[(start.next_line or 0) - 1].strip() == "this.next("
    assert start.next == ("end",)
    assert source[graph.line - 1].strip() == "class Decorated(FlowSpec):"
    assert graph.methods == {"helper"}


def test_steps_of_another_file(tmp_path: Path) -> None:
    (tmp_path / "base").mkdir()
    base = import_flow(
        tmp_path / "base",
        """
        class Base(FlowSpec):
            @step
            def start(self):
                self.next(self.end)
            @step
            def end(self):
                pass
        """,
    )

    class Derived(base):  # type: ignore[misc,valid-type]
        @step
        def end(self):
            pass

    class Same(base):  # type: ignore[misc,valid-type]
        pass

    graph = FlowGraph.from_flow(Derived)
    assert graph.file == __file__
    assert graph["start"].file == str(tmp_path / "base" / "flow.py")
    assert graph["end"].file == __file__
    assert FlowGraph.from_flow(Same).file == str(tmp_path / "base" / "flow.py")


def test_a_file_that_changed_under_the_class(tmp_path: Path) -> None:
    body = """
    class F(FlowSpec):
        @step
        def start(self):
            pass
    """
    flow = import_flow(tmp_path, body)
    (tmp_path / "flow.py").write_text("# longer\n" * 20 + "x = 1\n", "utf-8")
    with pytest.raises(FlowException, match=r"F\.start.*has changed since it was imported"):
        FlowGraph.from_flow(flow)
    (tmp_path / "flow.py").write_text("class F(:\n", "utf-8")
    with pytest.raises(FlowException, match=r"cannot be parsed \(.*flow\.py\)"):
        FlowGraph.from_flow(flow)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    for target in ("one", "two"):
        flow = import_flow(
            tmp_path,
            f"""
            class F(FlowSpec):
                @step
                def start(self):
                    {"# a longer file" * (target == "two")}
                    self.next(self.{target})
            """,
        )
        assert FlowGraph.from_flow(flow)["start"].next == (target,)


def test_a_flow_inside_a_zip_archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = textwrap.dedent(
        """
        from flowsdk import FlowSpec, step
        class Zipped(FlowSpec):
            @step
            def start(self):
                self.next(self.end)
            @step
            def end(self):
                pass
        """
    )
    with zipfile.ZipFile(tmp_path / "flows.zip", "w") as archive:
        archive.writestr("zipped_flow.py", source)
    monkeypatch.syspath_prepend(str(tmp_path / "flows.zip"))
    module: ModuleType = __import__("zipped_flow")
    assert FlowGraph.from_flow(module.Zipped)["start"].next == ("end",)


def test_a_class_without_source_says_so() -> None:
    namespace: dict[str, object] = {"__name__": "nowhere"}
    exec(
        "from flowsdk import FlowSpec, step\nclass F(FlowSpec):\n @step\n def start(self): pass\n",
        namespace,
    )
    with pytest.raises(FlowException, match=r"F\.start.*have to be defined in a file"):
        FlowGraph.from_flow(namespace["F"])  # type: ignore[arg-type]


def test_a_flow_without_steps_has_a_place_too(tmp_path: Path) -> None:
    flow = import_flow(tmp_path, "x = 1\n\nclass Empty(FlowSpec):\n    alpha = 1\n")
    graph = FlowGraph.from_flow(flow)
    assert (
        Path(graph.file).read_text("utf-8").splitlines()[graph.line - 1] == "class Empty(FlowSpec):"
    )
