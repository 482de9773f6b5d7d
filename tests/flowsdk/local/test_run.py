"""``python flow.py run``: whole flows, as a user runs them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.flowsdk.flows import run_flow, write_flow
from tests.flowsdk.local.outcome import results, texts

SHAPES = """
class Thing:
    def __init__(self, n):
        self.n = n

class Shapes(FlowSpec):
    alpha = Parameter("alpha", default=0.5)
    CONSTANT = 3

    @step
    def start(self):
        self.thing = Thing(7)
        self.double = lambda x: 2 * x
        self.next(self.left, self.right)

    @step
    def left(self):
        self.xs = {"a": 1, "b": 2}
        self.next(self.body, foreach="xs")

    @step
    def body(self):
        assert isinstance(self.thing, Thing)
        self.key, self.value = self.input
        self.where = (self.index, self.foreach_stack())
        self.ys = (n for n in range(self.index + 1))
        self.next(self.inner, foreach="ys")

    @step
    def inner(self):
        self.stack = self.foreach_stack()
        self.next(self.inner_join)

    @step
    def inner_join(self, inputs):
        self.count = len(inputs)
        self.merge_artifacts(inputs, exclude=["stack"])
        self.after_join = (self.index, self.input)
        self.next(self.gather)

    @step
    def gather(self, inputs):
        self.values = [(i.key, i.value, i.count, i.after_join, i.where[0]) for i in inputs]
        self.next(self.merge)

    @step
    def right(self):
        self.only_right = self.double(self.CONSTANT)
        self.next(self.merge)

    @step
    def merge(self, inputs):
        self.merge_artifacts(inputs)
        self.next(self.end)

    @step
    def end(self):
        print("values", self.values)
        print("rest", self.only_right, self.thing.n, self.alpha, self.CONSTANT)

if __name__ == "__main__":
    Shapes()
"""


def test_all_shapes_together(tmp_path: Path) -> None:
    path = write_flow(tmp_path, SHAPES)
    done = run_flow(path, "run", "--alpha", "0.75")
    assert done.returncode == 0, done.stderr
    printed = texts(done.stdout)
    values = [("a", 1, 1, (0, ("a", 1)), 0), ("b", 2, 2, (1, ("b", 2)), 1)]
    assert f"values {values}" in printed
    assert "rest 6 7 0.75 3" in printed
    assert done.stdout.splitlines()[-1].endswith("Done!")
    found = results(tmp_path, "Shapes")
    assert sorted(found) == sorted(
        ["start/0", "left/0", "right/0", "body/0", "body/1", "inner/0-0", "inner/1-0", "inner/1-1",
         "inner_join/0", "inner_join/1", "gather/0", "merge/0", "end/0"]
    )  # fmt: skip
    end = found["end/0"]
    assert {n for n, ref in end.artifacts.items() if ref.kind == "parameter"} == {"alpha"}
    assert {n for n, ref in end.artifacts.items() if ref.kind == "constant"} == {"CONSTANT"}
    assert end.artifacts["only_right"].origin == "right/0/0"
    assert found["left/0"].splits is not None
    assert found["left/0"].splits.labels == ("a, 1", "b, 2")


def test_a_parameter_or_constant_changed_in_place_is_unchanged_elsewhere_and_the_step_is_warned(
    tmp_path: Path,
) -> None:
    flow = write_flow(
        tmp_path,
        """
from flowsdk import FlowSpec, JSONType, Parameter, step

class Ends(FlowSpec):
    items = Parameter("items", default=[1], type=JSONType)
    TABLE = {"a": [1]}

    @step
    def start(self):
        self.items.append(2)
        self.TABLE["a"].append(2)
        self.next(self.end)

    @step
    def end(self):
        assert self.items == self.TABLE["a"] == [1]

if __name__ == "__main__":
    Ends()
""",
    )
    done = run_flow(flow, "run")
    assert done.returncode == 0, done.stderr
    for name in ("items", "TABLE"):
        assert f"Warning: step 'start' changed self.{name} in place" in done.stdout
    assert "'end' changed" not in done.stdout


def test_foreach_problems_are_located(tmp_path: Path) -> None:
    body = """
    class Each(FlowSpec):
        @step
        def start(self):
            {}
            self.next(self.body, foreach="xs")
        @step
        def body(self):
            self.next(self.join)
        @step
        def join(self, inputs):
            self.next(self.end)
        @step
        def end(self):
            pass
    if __name__ == "__main__":
        Each()
    """
    for statement, message in (
        ("self.xs = []", "flow.py:7): self.xs is empty, expected at least one element"),
        ("self.xs = 5", "flow.py:7): self.xs is of type int"),
        ("pass", f"{tmp_path}/flow.py:7): self.xs does not exist"),
    ):
        done = run_flow(write_flow(tmp_path, body.format(statement)), "run")
        assert done.returncode == 1
        assert message in done.stderr.splitlines()[-1]
    path = write_flow(tmp_path, body.format("self.xs = range(5)"))
    refused = run_flow(path, "run", "--max-num-splits", "4")
    assert refused.returncode == 1
    assert "splits into 5 tasks, expected at most 4" in refused.stderr


def test_batch_needs_s3(tmp_path: Path) -> None:
    path = write_flow(tmp_path, SHAPES)
    done = run_flow(path, "run", "--with", "batch")
    assert done.returncode == 2
    assert "AWS Batch, which reads and writes S3" in done.stderr
    assert "--datastore-root s3://bucket/prefix" in done.stderr


def test_wrong_parameters_are_a_usage_error(tmp_path: Path) -> None:
    done = run_flow(write_flow(tmp_path, SHAPES), "run", "--alpha", "x")
    assert done.returncode == 2
    assert "Parameter 'alpha': found 'x', expected float" in done.stderr
    assert not (tmp_path / ".flowsdk").exists()


def test_neither_airflow_nor_boto3_is_needed(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "for name in ('airflow', 'boto3', 'botocore', 'moto', 'pendulum', 'numpy'):\n"
        "    sys.modules[name] = None\n",
        "utf-8",
    )
    path = write_flow(tmp_path, SHAPES)
    env = {"PYTHONPATH": f"{tmp_path}:{Path(__file__).parents[3]}"}
    done = run_flow(path, "run", env=env)
    assert done.returncode == 0, done.stderr
    reader = tmp_path / "read.py"
    reader.write_text(
        "from flowsdk import Flow\nprint(Flow('Shapes').latest_successful_run.data.only_right)\n"
    )
    read = run_flow(reader, env=env)
    assert read.stdout.strip() == "6", read.stderr


def test_splits_have_random_numbers_of_their_own(tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    body = """
    import numpy.random

    class Random(FlowSpec):
        @step
        def start(self):
            self.xs = range(3)
            self.next(self.body, foreach="xs")
        @step
        def body(self):
            self.drawn = float(numpy.random.rand())
            self.next(self.join)
        @step
        def join(self, inputs):
            assert len({i.drawn for i in inputs}) == 3
            self.next(self.end)
        @step
        def end(self):
            pass
    if __name__ == "__main__":
        Random()
    """
    done = run_flow(write_flow(tmp_path, body), "run")
    assert done.returncode == 0, done.stderr


def test_parameters_and_constants_are_read_only_in_every_step(tmp_path: Path) -> None:
    body = SHAPES.replace('print("values", self.values)', "self.alpha; self.alpha = 7")
    done = run_flow(write_flow(tmp_path, body), "run")
    assert done.returncode == 1
    assert "it is a Parameter, and parameters are read-only" in done.stderr.splitlines()[-1]


def test_a_constant_that_cannot_be_stored_is_told_as_such(tmp_path: Path) -> None:
    body = """
    import threading

    class Locked(FlowSpec):
        LOCK = threading.Lock()
        @step
        def only(self):
            pass

    if __name__ == "__main__":
        Locked()
    """
    done = run_flow(write_flow(tmp_path, body), "run")
    assert done.returncode == 1
    assert "Artifact 'LOCK' (assigned at " in done.stderr
    assert ", as a constant of class Locked), of type _thread.lock" in done.stderr


@pytest.mark.parametrize(
    ("told", "young"),
    [("", "10_000"), ("gc.set_threshold(500, 5, 5)", "500"), ("gc.disable()", "10_000")],
)
def test_garbage_is_collected_less_often_unless_the_flow_says_how_often(
    tmp_path: Path, told: str, young: str
) -> None:
    body = f"""
    import gc

    {told}

    class Collected(FlowSpec):
        @step
        def start(self):
            assert gc.get_threshold()[0] == {young}
            assert gc.isenabled() is {told != "gc.disable()"}
            self.next(self.end)
        @step
        def end(self):
            pass
    if __name__ == "__main__":
        Collected()
    """
    done = run_flow(write_flow(tmp_path, body), "run")
    assert done.returncode == 0, done.stderr


def test_a_trivial_task_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    body = """
    class Small(FlowSpec):
        @step
        def start(self):
            self.xs = [1, 2]
            self.next(self.body, foreach="xs")
        @step
        def body(self):
            self.y = self.input
            self.next(self.join)
        @step
        def join(self, inputs):
            self.total = sum(i.y for i in inputs)
            self.next(self.end)
        @step
        def end(self):
            import sys
            costly = {"_hashlib", "_socket", "asyncio", "concurrent.futures", "logging", "tarfile"}
            assert not costly & set(sys.modules), costly & set(sys.modules)
    if __name__ == "__main__":
        Small()
    """
    done = run_flow(write_flow(tmp_path, body), "run")
    assert done.returncode == 0, done.stderr
