"""Every way a flow can go on, run for real: the tasks, their ids, their inputs."""

from __future__ import annotations

import textwrap
import time
from pathlib import Path

import pytest

from flowsdk import FlowSpec
from flowsdk.decorators.retry import Retry
from flowsdk.exception import FlowException, UnknownCaseException
from tests.flowsdk.flows import import_flow
from tests.flowsdk.running import Finished, run


def flow_of(folder: Path, *steps: str, head: str = "") -> type[FlowSpec]:
    """A flow ``F`` of steps, each given as the source of a method without ``@step``."""
    parts = ["import os, sys, time\nfrom flowsdk import parallel\nclass F(FlowSpec):\n"]
    parts += [textwrap.indent(textwrap.dedent(head), "    ")] if head else []
    for step in steps:
        text = textwrap.dedent(step).strip("\n")
        parts.append(textwrap.indent(text if text.startswith("@") else f"@step\n{text}", "    "))
        parts.append("\n")
    return import_flow(folder, "".join(parts))


START = "def start(self):\n    {}\n"
END = "def end(self): pass"
JOIN = "def join(self, inputs):\n    self.inputs = len(inputs)\n    self.next(self.end)"


def each(folder: Path, expression: str, *, allow_empty: str = "") -> Finished:
    """A run of a foreach over a value, of which every task keeps what it sees."""
    flow = flow_of(
        folder,
        f"""
        def start(self):
            self.xs = {expression}
            self.next(self.body, foreach="xs"{allow_empty})
        """,
        """
        def body(self):
            self.seen = self.input
            self.next(self.join)
        """,
        """
        def join(self, inputs):
            self.seen = [i.seen for i in inputs]
            self.next(self.end)
        """,
        END,
    )
    return run(flow, folder)


@pytest.mark.parametrize(
    ("expression", "elements"),
    [
        ("[None, 0, '', False]", [None, 0, "", False]),
        ("(1, 2)", [1, 2]),
        ("range(3)", [0, 1, 2]),
        ("'abc'", ["a", "b", "c"]),
        ("{'a': 1, 'b': 2}", [("a", 1), ("b", 2)]),
        ("{'a': 1, 'b': 2}.keys()", ["a", "b"]),
        ("{'a': 1}.items()", [("a", 1)]),
        ("(n * n for n in range(3))", [0, 1, 4]),
        ("map(str, [1, 2])", ["1", "2"]),
        ("zip([1], [2])", [(1, 2)]),
        ("iter([5])", [5]),
        ("b'ab'", [97, 98]),
    ],
)
def test_a_foreach_takes_whatever_can_be_iterated_over(
    tmp_path: Path, expression: str, elements: list[object]
) -> None:
    done = each(tmp_path, expression)
    assert done.succeeded
    assert done.value("end/0", "seen") == elements


def test_a_foreach_over_a_set_sees_each_element_once(tmp_path: Path) -> None:
    done = each(tmp_path, "{'x', 'y', 'z'}")
    assert sorted(done.value("end/0", "seen")) == ["x", "y", "z"]


def test_an_iterator_that_is_used_up_leaves_its_elements_as_the_artifact(tmp_path: Path) -> None:
    assert each(tmp_path, "(n for n in [3, 4])").value("start/0", "xs") == [3, 4]


def test_there_is_no_ceiling_of_a_hundred_splits(tmp_path: Path) -> None:
    done = each(tmp_path, "range(101)")
    assert done.value("end/0", "seen") == list(range(101))


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("[]", "self.xs is empty, expected at least one element"),
        ("iter(())", "Pass allow_empty=True to self.next() to go straight to the join."),
        ("7", "self.xs is of type int, expected something that can be iterated over"),
    ],
)
def test_what_cannot_be_split_fails_before_any_child_starts(
    tmp_path: Path, expression: str, message: str
) -> None:
    done = each(tmp_path, expression)
    assert not done.succeeded
    assert message in done.error()
    assert done.started == ["start/0"]


EMPTY_INNER = """
    def body(self):
        self.ys = [] if self.index == 1 else [1]
        self.kept = self.index
        self.next(self.inner, foreach="ys", allow_empty=True)
"""
EMPTY_INNER_JOIN = """
    def inner_join(self, inputs):
        self.count = len(inputs)
        self.listed = list(inputs)
        self.merge_artifacts(inputs)
        self.where = (self.index, self.input, self.alpha, self.K, hasattr(self, "kept"))
        self.next(self.join)
"""


def test_an_empty_foreach_goes_straight_to_its_join_if_it_may(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        START.format("self.xs = 'pq'; self.next(self.body, foreach='xs')"),
        EMPTY_INNER,
        "def inner(self):\n    self.next(self.inner_join)",
        EMPTY_INNER_JOIN.replace("self.listed = list(inputs)", "assert len(list(inputs)) == self.count"),
        JOIN,
        END,
        head="alpha = Parameter('alpha', default=1)\nK = 5\n",
    )  # fmt: skip
    done = run(flow, tmp_path, {"alpha": 3})
    assert done.succeeded, done.error()
    assert done.values("inner_join", "count") == {"0": 1, "1": 0}
    # What joins pass on by themselves, and nothing else, is what an empty one has.
    assert done.value("inner_join/1", "where") == (1, "q", 3, 5, False)
    assert done.value("inner_join/0", "where") == (0, "p", 3, 5, True)
    assert done.value("join/0", "inputs") == 2
    split = done.results["body/1"]
    assert split.splits is not None
    assert (split.splits.count, split.next) == (0, ("inner_join",))


def test_inputs_of_an_empty_foreach_have_no_first_one(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        START.format("self.xs = {}; self.next(self.a, foreach='xs', allow_empty=True)"),
        "def a(self):\n    self.next(self.join)",
        """
        def join(self, inputs):
            try:
                inputs[0]
            except IndexError as error:
                self.first = str(error)
            try:
                inputs.a
            except AttributeError as error:
                self.named = str(error)
            self.next(self.end)
        """,
        END,
    )
    done = run(flow, tmp_path)
    assert done.succeeded, done.error()
    assert done.value("end/0", "named") == "No input of this join comes from step 'a', found none."


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


GANG = """
    @parallel
    @step
    def train(self):
        self.place = tuple(current.parallel) + (self.index, self.input, len(self.foreach_stack()))
        {}
        self.next(self.join)
"""


def test_a_gang_runs_all_at_once_and_knows_itself(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    wait = (
        f"open('{tmp_path}/here/' + str(self.index), 'w').close()\n"
        "        until = time.monotonic() + 20\n"
        f"        while len(os.listdir('{tmp_path}/here')) < 3:\n"
        "            assert time.monotonic() < until, 'the others did not come'\n"
        "            time.sleep(0.01)"
    )
    flow = flow_of(
        tmp_path,
        START.format("self.n = 3; self.next(self.train, num_parallel=self.n)"),
        GANG.format(wait),
        JOIN,
        END,
    )
    done = run(flow, tmp_path, max_workers=1)
    assert done.succeeded, done.error()
    assert done.values("train", "place") == {
        str(i): ("127.0.0.1", 3, i, "0", i, i, 1) for i in range(3)
    }
    assert done.value("end/0", "inputs") == 3


def test_a_gang_within_a_foreach_has_a_control_task_of_its_own(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        START.format("self.xs = 'ab'; self.next(self.each, foreach='xs')"),
        "def each(self):\n    self.next(self.train, num_parallel=2)",
        GANG.format("pass"),
        "def join(self, inputs):\n    self.next(self.outer)",
        "def outer(self, inputs):\n    self.next(self.end)",
        END,
    )
    done = run(flow, tmp_path)
    assert done.succeeded, done.error()
    assert {t: place[3] for t, place in done.values("train", "place").items()} == {
        "0-0": "0-0", "0-1": "0-0", "1-0": "1-0", "1-1": "1-0"
    }  # fmt: skip


@pytest.mark.parametrize("size", ["0", "-1", "True", "2.5", "'3'", "None"])
def test_a_gang_of_no_size_is_refused_where_it_is_asked_for(tmp_path: Path, size: str) -> None:
    flow = flow_of(
        tmp_path,
        START.format(f"self.next(self.train, num_parallel={size})"),
        GANG.format("pass"),
        JOIN,
        END,
    )
    done = run(flow, tmp_path)
    assert done.started == ["start/0"]
    assert f"found {size}, expected a whole number of tasks, at least 1." in done.error()


def test_a_gang_fails_and_is_tried_again_as_one(tmp_path: Path) -> None:
    body = (
        "        if current.retry_count == 0 and self.index == 1:\n"
        "            raise ValueError('one of them')\n"
        "        if current.retry_count == 0 and self.index == 2:\n"
        "            time.sleep(60)\n"
    ).strip()
    flow = flow_of(
        tmp_path,
        START.format("self.next(self.train, num_parallel=3)"),
        GANG.format(body),
        JOIN,
        END,
    )
    began = time.monotonic()
    retry = Retry(times=1, minutes_between_retries=0)
    done = run(flow, tmp_path, decorators=[retry])
    assert done.succeeded, done.error()
    assert time.monotonic() - began < 30  # the one that slept was not waited for
    attempts = done.store.attempts(done.run)["train"]
    assert {task: len(refs) for task, refs in attempts.items()} == {"0": 2, "1": 2, "2": 2}
    stopped = {
        one.task: one.error.message
        for one in done.attempts
        if one.error and one.error.kind != "user"
    }
    assert stopped["2"].endswith(": task train/1 of its gang has failed.")
    assert done.results["join/0"].succeeded


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


def test_after_the_inner_join_index_and_input_are_those_of_the_outer_level(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        START.format("self.xs = 'ab'; self.next(self.outer, foreach='xs')"),
        "def outer(self):\n    self.ys = [10, 20]\n    self.next(self.inner, foreach='ys')",
        "def inner(self):\n    self.stack = self.foreach_stack()\n    self.next(self.inner_join)",
        "def inner_join(self, inputs):\n    self.seen = (self.index, self.input, self.foreach_stack())\n"
        "    self.next(self.join)",
        JOIN,
        END,
    )
    done = run(flow, tmp_path)
    assert done.value("inner/1-0", "stack") == [(1, 2, "b"), (0, 2, 10)]
    assert done.value("inner_join/1", "seen") == (1, "b", [(1, 2, "b")])


def test_sys_exit_in_a_step_is_a_failure_that_says_where(tmp_path: Path) -> None:
    for code in ("0", "3", "'bye'"):
        flow = flow_of(tmp_path, START.format(f"sys.exit({code}); self.next(self.end)"), END)
        done = run(flow, tmp_path)
        assert f"StepExited: Step 'start' called sys.exit({code})" in done.error()
        assert done.failed[0].error is not None
        assert f"{tmp_path}/flow.py" in done.failed[0].error.traceback
        assert done.started == ["start/0"]


@pytest.mark.parametrize("times", [4, 9])
def test_a_step_may_be_tried_more_than_six_times(tmp_path: Path, times: int) -> None:
    flow = flow_of(
        tmp_path,
        START.format(f"assert current.retry_count == {times}, 'again'; self.next(self.end)"),
        END,
    )
    retry = Retry(times=times, minutes_between_retries=0)
    done = run(flow, tmp_path, decorators=[retry])
    assert done.succeeded, done.error()
    assert done.started == ["start/0"] * (times + 1) + ["end/0"]


def test_a_retry_waits_as_long_as_it_says(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        START.format("self.t = time.monotonic(); assert current.retry_count; self.next(self.end)"),
        END,
    )
    began = time.monotonic()
    done = run(flow, tmp_path, decorators=[Retry(times=1, minutes_between_retries=0.01)])
    assert done.succeeded, done.error()
    assert done.value("end/0", "t") - began >= 0.6


def test_more_splits_than_allowed_end_the_run_before_any_of_them(tmp_path: Path) -> None:
    flow = flow_of(
        tmp_path,
        START.format("self.xs = range(5); self.next(self.a, foreach='xs')"),
        "def a(self):\n    self.next(self.join)",
        JOIN,
        END,
    )
    with pytest.raises(
        FlowException, match=r"'start' \(.*:\d+\) splits into 5 tasks, expected at most"
    ):
        run(flow, tmp_path, max_num_splits=4)
    assert run(flow, tmp_path, max_num_splits=5).succeeded


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
