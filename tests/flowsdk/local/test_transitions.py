"""Every way a flow can go on, run for real: the tasks, their ids, their inputs.

Splits by foreach and gangs have modules of their own: ``test_foreach.py``, ``test_gangs.py``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from flowsdk.exception import UnknownCaseException
from tests.flowsdk.flows import import_flow
from tests.flowsdk.local.steps import END, START, flow_of
from tests.flowsdk.running import run

SWITCH = """
    def start(self):
        self.kind = {value}
        self.next({{{cases}}},
                  condition="kind")
"""
AB = ("def a(self):\n    self.way = 'a'\n    self.next(self.end)",
      "def b(self):\n    self.way = 'b'\n    self.next(self.end)")  # fmt: skip


@pytest.mark.parametrize(
    ("cases", "value", "way"),
    [
        ("'x': self.a, 'y': self.b", "'y'", "b"),
        ("1: self.a, 2: self.b", "2", "b"),
        ("True: self.a, False: self.b", "3 > 2", "a"),
        ("-1.5: self.a, 'k': self.b", "-1.5", "a"),
        ("1: self.a, 2: self.b, 3: self.a", "3", "a"),
    ],
)
def test_a_switch_goes_to_the_one_step_whose_case_fits(
    tmp_path: Path, cases: str, value: str, way: str
) -> None:
    flow = flow_of(tmp_path, SWITCH.format(value=value, cases=cases), *AB, END)
    done = run(flow, tmp_path)
    assert done.tasks == sorted(["start/0", f"{way}/0", "end/0"])
    assert done.value("end/0", "way") == way
    assert done.results["start/0"].next == (way,)


@pytest.mark.parametrize("value", ["'z'", "None", "[1]"])
def test_a_value_that_is_no_case_names_the_cases(tmp_path: Path, value: str) -> None:
    flow = flow_of(tmp_path, SWITCH.format(value=value, cases="'x': self.a, 2: self.b"), *AB, END)
    done = run(flow, tmp_path)
    assert done.started == ["start/0"]
    assert done.error().startswith(
        "flowsdk.exception.UnknownCaseException: condition='kind' (step "
    )
    assert f"self.kind is {value}, expected one of the cases 'x', 2." in done.error()
    assert f"{tmp_path}/flow.py:" in done.error()
    assert issubclass(UnknownCaseException, RuntimeError)


def test_a_condition_that_was_never_assigned(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path, START.format("self.next({1: self.a, 2: self.b}, condition='x')"), *AB, END
    )
    assert "self.x does not exist. Assign it before self.next()." in run(flow, tmp_path).error()


def test_the_keys_of_a_switch_may_be_values_of_a_config(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        """
        def start(self):
            self.kind = "gpu"
            self.next({self.config.names.a: self.a, self.config["other"]: self.b}, condition="kind")
        """,
        *AB,
        END,
        head="from flowsdk import Config\n"
        "config = Config('config', default_value={'names': {'a': 'cpu'}, 'other': 'gpu'})\n",
    )
    done = run(flow, tmp_path)
    assert done.succeeded, done.error()
    assert done.value("end/0", "way") == "b"


def test_a_join_counts_the_branches_of_its_split_not_the_steps_before_it(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        START.format("self.n = 1; self.next(self.left, self.right)"),
        "def left(self):\n    self.next({0: self.p, 1: self.q}, condition='n')",
        "def p(self):\n    self.next(self.after)",
        "def q(self):\n    self.next({0: self.p, 1: self.r}, condition='n')",
        "def r(self):\n    self.next(self.join)",
        "def after(self):\n    self.next(self.join)",
        "def right(self):\n    self.next(self.join)",
        "def join(self, inputs):\n    self.order = [i._FlowSpec__task.step for i in inputs]\n"
        "    self.named = inputs.r.n\n    self.next(self.end)",
        END,
    )
    done = run(flow, tmp_path)
    assert done.succeeded, done.error()
    assert done.value("end/0", "order") == ["r", "right"]
    assert done.tasks == sorted(
        f"{s}/0" for s in ("start", "left", "q", "r", "right", "join", "end")
    )


LOOP = """
    def loop(self):
        self.log = [*getattr(self, "log", []), (current.task_id, self.index)]
        self.again = len(self.log) <= {times}
        self.next({{True: self.loop, False: self.{after}}}, condition="again")
"""


def test_a_step_that_loops_has_an_id_for_every_iteration(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path, START.format("self.next(self.loop)"), LOOP.format(times="2", after="end"), END
    )
    done = run(flow, tmp_path)
    assert done.tasks == ["end/0", "loop/0", "loop/0.1", "loop/0.2", "start/0"]
    assert done.value("end/0", "log") == [("0", None), ("0.1", None), ("0.2", None)]
    iterations = [done.store.read_spec(done.run, done.results[f"loop/{t}"].ref).iteration
                  for t in ("0", "0.1", "0.2")]  # fmt: skip
    assert iterations == [0, 1, 2]


def test_loops_in_a_foreach_and_in_a_branch_are_counted_by_themselves(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        START.format("self.next(self.each, self.other)"),
        "def each(self):\n    self.xs = 'abc'\n    self.next(self.loop, foreach='xs')",
        LOOP.format(times="self.index", after="after"),
        "def after(self):\n    self.next(self.gather)",
        "def gather(self, inputs):\n    self.logs = [i.log for i in inputs]\n    self.next(self.join)",
        "def other(self):\n    self.next(self.spin)",
        LOOP.format(times="1", after="join")
        .replace("loop", "spin")
        .replace("self.join", "self.spun"),
        "def spun(self):\n    self.next(self.join)",
        "def join(self, inputs):\n    self.logs = inputs.gather.logs\n    self.next(self.end)",
        END,
    )
    done = run(flow, tmp_path)
    assert done.succeeded, done.error()
    loops = ["loop/0", "loop/1", "loop/1.1", "loop/2", "loop/2.1", "loop/2.2"]
    assert [task for task in done.tasks if task.startswith("loop")] == loops
    assert [task for task in done.tasks if task.startswith("spin")] == ["spin/0", "spin/0.1"]
    assert done.value("end/0", "logs")[2] == [("2", 2), ("2.1", 2), ("2.2", 2)]
    assert [task for task in done.tasks if task.startswith("after")] == [
        "after/0",
        "after/1",
        "after/2",
    ]


def test_single_step_flows_and_marked_steps(tmp_path: Path) -> None:
    only = run(flow_of(tmp_path, "def only(self): self.x = 1"), tmp_path / "one")
    assert (only.tasks, only.value("only/0", "x")) == (["only/0"], 1)
    named = flow_of(
        tmp_path,
        "@step(start=True)\ndef load(self):\n    self.next(self.save)",
        "@step(end=True)\ndef save(self): pass",
    )
    assert run(named, tmp_path / "two").tasks == ["load/0", "save/0"]


def test_steps_parameters_and_constants_come_from_base_classes_in_other_modules(
    tmp_path: Path,
) -> None:
    base = """
    class Base(FlowSpec):
        alpha = Parameter("alpha", default=1)
        LIMIT = 10

        @step
        def start(self):
            self.x = self.alpha
            self.next(self.work)

        @step
        def work(self):
            self.x += 1
            self.next(self.end)

        @step
        def end(self):
            self.who = "base"
    """
    (tmp_path / "base").mkdir()
    import sys

    module = sys.modules[import_flow(tmp_path / "base", base).__module__]
    sys.modules["base_flow_of_test"] = module
    child = import_flow(
        tmp_path,
        """
        from base_flow_of_test import Base
        class Child(Base):
            beta = Parameter("beta", default=2)
            @step
            def work(self):
                self.x += self.beta * self.LIMIT
                self.next(self.extra)
            @step
            def extra(self):
                self.next(self.end)
        """,
    )
    assert [method.__name__ for method in child(use_cli=False)] == ["start", "work", "end", "extra"]
    done = run(child, tmp_path, {"alpha": 5, "beta": 3})
    assert done.succeeded, done.error()
    assert done.tasks == ["end/0", "extra/0", "start/0", "work/0"]
    assert (done.value("end/0", "x"), done.value("end/0", "who")) == (35, "base")


def test_a_step_that_ends_without_self_next_is_told_where_it_is(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        "def start(self):\n    if len(sys.argv) >= 0:\n        return\n    self.next(self.end)",
        END,
    )
    assert "ended without calling self.next(), expected end." in run(flow, tmp_path).error()


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("self.next(self.mid)", "self.next() was called twice (step 'start', "),
        ("go = self.next; go('mid')", "self.next() got 'mid' (step 'start', "),
        ("go = self.next; go(self.end)", "goes to end (step 'start', "),
        ("go = self.next; go(self.mid, forech='x')", "Did you mean 'foreach'?"),
        ("go = self.next; go(self.mid, foreach='x')", "expected mid as the source says"),
    ],
)
def test_a_call_of_next_that_the_source_does_not_show_is_refused(
    tmp_path: Path, statement: str, message: str
) -> None:
    flow = flow_of(
        tmp_path,
        START.format(f"{statement}; self.next(self.mid)"),
        "def mid(self):\n    self.next(self.end)",
        END,
    )
    done = run(flow, tmp_path)
    assert done.started == ["start/0"]
    assert "InvalidNextException" in done.error()
    assert message in done.error()
