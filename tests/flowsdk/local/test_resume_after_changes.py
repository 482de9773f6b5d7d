"""Resuming with another flow file or another configuration than those of the run before."""

from __future__ import annotations

from pathlib import Path

from flowsdk import FlowSpec
from flowsdk.configs import resolve_configs
from tests.flowsdk.flows import import_flow
from tests.flowsdk.running import resumed, run

CHANGED = """
class F(FlowSpec):
    @step
    def start(self):
        self.x = 1
        self.next({next})
    @step
    def a(self):
        self.y = {y}
        {problem}
        self.next(self.end)
    @step
    def b(self):
        self.next(self.end)
    @step
    def end(self):
        self.z = self.y + 1
"""


def changed(folder: Path, **parts: str) -> type[FlowSpec]:
    text = CHANGED.format(**{"next": "self.a", "y": "1", "problem": "pass", **parts})
    return import_flow(folder, text if "self.b" in parts.get("next", "") else text.replace(B, ""))


B = "    @step\n    def b(self):\n        self.next(self.end)\n"


def test_changed_code_is_what_runs(tmp_path: Path) -> None:
    run(changed(tmp_path, problem="raise ValueError('bug')"), tmp_path)
    fixed = resumed(changed(tmp_path, y="41"), tmp_path)
    assert (fixed.reused, fixed.started) == (["start/0"], ["a/0", "end/0"])
    assert fixed.value("end/0", "z") == 42


def test_a_step_that_now_goes_elsewhere_runs_again(tmp_path: Path) -> None:
    run(changed(tmp_path, problem="raise ValueError('bug')"), tmp_path)
    other = changed(tmp_path, next="{1: self.a, 2: self.b}, condition='x'")
    assert resumed(other, tmp_path).started == ["a/0", "end/0"]  # still one of the cases
    elsewhere = CHANGED.replace("def a(", "def c(").format(next="self.c", y="1", problem="pass")
    assert resumed(import_flow(tmp_path, elsewhere.replace(B, "")), tmp_path).started == [
        "start/0", "c/0", "end/0"
    ]  # fmt: skip


def test_a_foreach_over_nothing_is_used_again_while_its_join_is_the_same(tmp_path: Path) -> None:
    body = """
    class F(FlowSpec):
        @step
        def start(self):
            self.xs = []
            self.next(self.body, foreach="xs", allow_empty=True)
        @step
        def body(self):
            self.next(self.join)
        @step
        def join(self, inputs):
            self.x = 1 / {zero}
            self.next(self.end)
        @step
        def end(self): pass
    """
    run(import_flow(tmp_path, body.format(zero="len(inputs)")), tmp_path)
    again = resumed(import_flow(tmp_path, body.format(zero="1")), tmp_path)
    assert (again.reused, again.started) == (["start/0"], ["join/0", "end/0"])
    renamed = body.replace("self.join", "self.gather").replace("def join", "def gather")
    assert resumed(import_flow(tmp_path, renamed.format(zero="1")), tmp_path).reused == []
    strict = body.replace(", allow_empty=True", "")
    failed = resumed(import_flow(tmp_path, strict.format(zero="1")), tmp_path)
    assert (failed.reused, failed.started) == ([], ["start/0"])
    assert "self.xs is empty" in failed.error()


def test_parameters_and_configs_are_those_of_the_origin(tmp_path: Path) -> None:
    body = """
    from flowsdk import Config
    class F(FlowSpec):
        alpha = Parameter("alpha", default="other")
        config = Config("config", default="config.json")
        @step
        def start(self):
            self.next({self.config.a: self.a, "other": self.b}, condition="alpha")
        @step
        def a(self):
            self.next(self.end)
        @step
        def b(self):
            self.next(self.end)
        @step
        def end(self):
            self.seen = (self.alpha, self.config.a)
    """
    (tmp_path / "config.json").write_text('{"a": "first"}', "utf-8")
    first = run(import_flow(tmp_path, body), tmp_path, {"alpha": "first"})
    assert first.succeeded, first.error()
    (tmp_path / "config.json").write_text('{"a": "second"}', "utf-8")
    flow = import_flow(tmp_path, body)
    assert resolve_configs(flow) == {"config": {"a": "second"}}  # as a command line may have done
    again = resumed(flow, tmp_path, "start")
    assert again.succeeded, again.error()
    assert again.value("end/0", "seen") == ("first", "first")
    spec = again.store.read_run(again.run)
    assert spec.parameters == {"alpha": "first"}
    assert spec.configs == first.store.read_run(first.run).configs
