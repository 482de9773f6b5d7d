"""Every rule of Metaflow's linter, by its number in the catalogue: found, and found in its place.

In each flow ``# here`` marks the line that the problem must name.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from flowsdk.graph import FlowGraph
from flowsdk.lint import check
from tests.flowsdk.flows import import_flow, run_flow, write_flow

JOINED = "join(self, inputs): self.next(self.end)"


def source_of(*steps: str) -> str:
    """A flow of steps, each given as what follows ``def``; ``@x`` lines before it are kept."""
    text = "from flowsdk import parallel\nclass F(FlowSpec):  # class\n"
    for each in steps:
        *decorators, definition = each.split("; ") if each.startswith("@") else [each]
        lines = [*(decorators or ["@step"]), f"def {definition}"]
        text += textwrap.indent("\n".join(lines), "    ") + "\n"
    return text


LINEAR = ("start(self): self.next(self.a)", "a(self): self.next(self.end)", "end(self): pass")

RULES = {
    "1 reserved step name": (
        ["start(self): self.next(self.cmd)", "cmd(self): self.next(self.end)  # here", "end(self): pass"],
        "reserved-name", "A step is called 'cmd', a name that FlowSpec uses itself.",
    ),
    "2 no start step": (
        ["begin(self): self.next(self.end)", "end(self): pass"],
        "start-step", "Flow F has no start step.",
    ),
    "2 no end step": (
        ["start(self): self.next(self.a)", "a(self): pass"],
        "end-step", "Flow F has no end step. Is 'a' meant?",
    ),
    "2 two start steps": (
        ["@step(start=True); a(self): self.next(self.end)",
         "@step(start=True); b(self): self.next(self.end)  # here", "end(self): pass"],
        "start-step", "Steps 'a', 'b' are all marked as start.",
    ),
    "3 marked and named start": (
        ["@step(start=True); a(self): self.next(self.start)  # here",
         "start(self): self.next(self.end)", "end(self): pass"],
        "start-step", "Step 'a' is marked as start and there is a step 'start' too.",
    ),
    "3 marked and named end": (
        ["start(self): self.next(self.end)", "end(self): self.next(self.a)",
         "@step(end=True); a(self): pass  # here"],
        "end-step", "Step 'a' is marked as end and there is a step 'end' too.",
    ),
    "4 something goes to the start": (
        ["start(self): self.next(self.a)", "a(self): self.next(self.start)  # here", "end(self): pass"],
        "start-step", "Step 'a' goes to 'start', where the flow begins.",
    ),
    "5 the end goes on": (
        ["start(self): self.next(self.a)", "a(self): self.next(self.end)",
         "end(self): self.next(self.a)  # here"],
        "end-step", "Step 'end' is the end of the flow and calls self.next().",
    ),
    "5 the end is a join": (
        ["start(self): self.next(self.a, self.b)", "a(self): self.next(self.end)",
         "b(self): self.next(self.end)", "end(self, inputs): pass  # here"],
        "end-step", "Step 'end' is the end of the flow and a join. Add a join step before it.",
    ),
    "6 step name": (
        ["start(self): self.next(self.fitModel)", "fitModel(self): self.next(self.end)  # here",
         "end(self): pass"],
        "step-name", "A step is called 'fitModel', expected only a-z, 0-9 and _",
    ),
    "7 no self": (
        ["start(self): self.next(self.a)", "a(): self.next(self.end)  # here", "end(self): pass"],
        "arguments", "Step 'a' takes no argument, expected 'self'.",
    ),
    "7 too many arguments": (
        ["start(self): self.next(self.a)", "a(self, x, y): self.next(self.end)  # here", "end(self): pass"],
        "arguments", "Step 'a' takes 3 arguments",
    ),
    "7 join and split": (
        ["start(self): self.next(self.a, foreach='x')", "a(self): self.next(self.j)",
         "j(self, inputs): self.next(self.b, foreach='y')  # here", "b(self): self.next(self.join)",
         JOINED, "end(self): pass"],
        "join-and-split", "Step 'j' is a join and a foreach at once. Add a new step so that split and "
        "join become separate steps.",
    ),
    "8 no self.next": (
        ["start(self): self.next(self.a)", "a(self): self.x = 1  # here", "b(self): self.next(self.end)",
         "end(self): pass"],
        "missing-next", "Step 'a' does not call self.next().",
    ),
    "8 self.next in an if": (
        ["start(self):\n        if self.x:\n            self.next(self.a)  # here",
         "a(self): self.next(self.end)", "end(self): pass"],
        "missing-next", "Step 'start' calls self.next() somewhere else than in its last statement.",
    ),
    "9 self.next that is not understood": (
        ["start(self): self.next('a')  # here", *LINEAR[1:]],
        "invalid-next", "'a' is not a step written as self.<step>. Expected self.next(self.a), ",
    ),
    "9 a case that is no literal": (
        ["start(self): self.next({KEY: self.a, 2: self.end}, condition='x')  # here", *LINEAR[1:]],
        "invalid-next", "Case KEY is not a literal text, number or boolean, nor one that a Config holds",
    ),
    "10 unknown step": (
        ["start(self): self.next(self.aa)  # here", *LINEAR[1:]],
        "unknown-step", "Step 'start' goes to self.aa, and the flow has no such step.",
    ),
    "11 cycle": (
        ["start(self): self.next(self.a)", "a(self): self.next(self.b)", "b(self): self.next(self.a)  # here",
         "end(self): pass"],
        "cycle", "Steps 'a', 'b' lead back to one another. Only a switch may go back, and only to its own",
    ),
    "11 loop without a switch": (
        ["start(self): self.next(self.a)", "a(self): self.next(self.a)  # here", "end(self): pass"],
        "cycle", "Step 'a' leads back to itself.",
    ),
    "12 orphan": (
        ["start(self): self.next(self.end)", "a(self): self.next(self.end)  # here", "end(self): pass"],
        "unreachable", "No way leads from 'start' to step 'a'.",
    ),
    "13a end before the join": (
        ["start(self): self.next(self.a, foreach='x')", "a(self): self.next(self.end)",
         "end(self): pass  # here"],
        "split-join", "Step 'end' is reached before the split of step 'start' is joined.",
    ),
    "13b a branch is missing": (
        ["start(self): self.next(self.a, self.b, self.c)", "a(self): self.next(self.join)",
         "b(self): self.next(self.join)", "c(self): self.next(self.d)", "d(self): self.next(self.end)",
         "join(self, inputs): self.next(self.end)  # here", "end(self): pass"],
        "split-join", "Join 'join' does not join all branches of step 'start' (a, b, c): it is reached "
        "from a, b.",
    ),
    "13c join without a split": (
        ["start(self): self.next(self.join)", "join(self, inputs): self.next(self.end)  # here",
         "end(self): pass"],
        "split-join", "Step 'join' is a join and no split is open before it.",
    ),
    "13d join of unrelated splits": (
        ["start(self): self.next(self.a, self.b)", "a(self): self.next(self.c, self.d)",
         "c(self): self.next(self.join)", "d(self): self.next(self.join)", "b(self): self.next(self.join)",
         "join(self, inputs): self.next(self.end)  # here", "end(self): pass"],
        "split-join", "Join 'join' is reached from 'c', 'd', 'b', which are not branches of one and",
    ),
    "13 two joins behind a switch": (
        ["start(self): self.next(self.a, foreach='x')",
         "a(self): self.next({1: self.b, 2: self.c}, condition='y')", "b(self): self.next(self.j)",
         "c(self): self.next(self.k)", "j(self, inputs): self.next(self.end)  # here",
         "k(self, inputs): self.next(self.end)", "end(self): pass"],
        "split-join", "The split of step 'start' ends in two joins, 'k' and 'j'",
    ),
    "14 a switch with one target": (
        ["start(self): self.next({1: self.end, 2: self.end}, condition='x')  # here", "end(self): pass"],
        "switch", "The switch of step 'start' has 1 different step(s) to go to, expected at least 2.",
    ),
    "14 a switch without condition": (
        ["start(self): self.next({1: self.a, 2: self.end})  # here", *LINEAR[1:]],
        "invalid-next", "A dict of cases goes with condition='<attribute>'.",
    ),
    "14 a switch without cases": (
        ["start(self): self.next({}, condition='x')  # here", "end(self): pass"],
        "invalid-next", "It has a dict without cases.",
    ),
    "15 foreach without a body": (
        ["start(self): self.next(self.join, foreach='x')  # here", JOINED, "end(self): pass"],
        "split-join", "The foreach of step 'start' goes directly to join 'join'.",
    ),
    "16 gang without @parallel": (
        ["start(self): self.next(self.a, num_parallel=2)", "a(self): self.next(self.join)  # here", JOINED,
         "end(self): pass"],
        "parallel", "Step 'start' goes to 'a' with num_parallel, and 'a' has no @parallel.",
    ),
    "17 gang without a join": (
        ["start(self): self.next(self.a, num_parallel=2)",
         "@parallel; @step; a(self): self.next(self.b)  # here", "b(self): self.next(self.join)", JOINED,
         "end(self): pass"],
        "parallel", "Step 'a' runs as a gang and does not go straight to a join.",
    ),
    "17 gang that is a switch": (
        ["start(self): self.next(self.a, num_parallel=2)",
         "@parallel; @step; a(self): self.next({1: self.b, 2: self.c}, condition='x')  # here",
         "b(self): self.next(self.join)", "c(self): self.next(self.join)", JOINED, "end(self): pass"],
        "parallel", "Step 'a' runs as a gang and does not go straight to a join.",
    ),
    "18 @parallel without num_parallel": (
        ["start(self): self.next(self.a, foreach='x')", "@parallel; @step; a(self): self.next(self.join)  # here",
         JOINED, "end(self): pass"],
        "parallel", "Step 'a' has @parallel, and step 'start' goes to it without num_parallel.",
    ),
    "20 a case that is a join": (
        ["start(self): self.next(self.a, self.b)",
         "a(self): self.next({1: self.c, 2: self.join}, condition='x')  # here",
         "c(self): self.next(self.join)", "b(self): self.next(self.join)", JOINED, "end(self): pass"],
        "switch", "A case of the switch in step 'a' goes directly to join 'join'. Add a step in between",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_every_rule_is_checked_and_names_its_place(tmp_path: Path, name: str) -> None:
    steps, rule, message = RULES[name]
    flow = import_flow(tmp_path, source_of(*steps))
    lines = (tmp_path / "flow.py").read_text("utf-8").splitlines()
    marker = "# here" if any("# here" in line for line in lines) else "# class"
    (line,) = (number for number, text in enumerate(lines, 1) if marker in text)
    (problem,) = check(FlowGraph.from_flow(flow))
    assert (problem.rule, problem.line) == (rule, line)
    assert message in f"{problem.message} {problem.hint}"
    assert str(problem).startswith(f"{tmp_path}/flow.py:{line}: {rule}: ")


def test_rule_19_nested_foreach_is_no_problem(tmp_path: Path) -> None:
    steps = ["start(self): self.next(self.a, foreach='x')", "a(self): self.next(self.b, foreach='y')",
             "b(self): self.next(self.j)", "j(self, inputs): self.next(self.join)", JOINED,
             "end(self): pass"]  # fmt: skip
    assert check(FlowGraph.from_flow(import_flow(tmp_path, source_of(*steps)))) == []


def test_all_problems_are_told_at_once_and_end_with_code_1(tmp_path: Path) -> None:
    body = source_of(
        "start(self): self.next(self.a, self.b)",
        "a(): self.next(self.jion)",
        "b(self): self.next(self.join, forech='x')",
        JOINED,
        "Orphan(self): self.next(self.end)",
        "end(self): self.next(self.a)",
    )
    done = run_flow(write_flow(tmp_path, body + "if __name__ == '__main__':\n    F()\n"), "check")
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if f"{tmp_path}/flow.py:" in line]
    assert [line.split(": ")[1] for line in told] == [
        "arguments", "unknown-step", "invalid-next", "step-name", "unreachable",
        "end-step",
    ]  # fmt: skip
    assert "Did you mean 'join'?" in told[1]
    assert "'forech' is not one of its arguments. Did you mean 'foreach'?" in told[2]
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("call", "why"),
    [
        ("self.a, foreach='x', allow_empty=yes", "allow_empty=yes is not True or False."),
        ("self.a, allow_empty=True", "'allow_empty' goes with foreach='<attribute>'."),
        ("self.a, num_parallel=2, foreach='x'", "'num_parallel' and 'foreach' do not go together."),
        ("{1: self.a, 2: self.b}, condition='x', foreach='y'", "do not go together."),
        ("self.a, alow_empty=True", "Did you mean 'allow_empty'?"),
    ],
)
def test_keywords_of_next_that_make_no_sense(tmp_path: Path, call: str, why: str) -> None:
    steps = [f"start(self): self.next({call})", "a(self): self.next(self.end)",
             "b(self): self.next(self.end)", "end(self): pass"]  # fmt: skip
    problems = check(FlowGraph.from_flow(import_flow(tmp_path, source_of(*steps))))
    assert why in next(p.message for p in problems if p.rule == "invalid-next")


def test_checking_a_flow_runs_none_of_its_steps(tmp_path: Path) -> None:
    body = source_of("start(self): print('ran') or self.next(self.end)", "end(self): print('ran')")
    path = write_flow(tmp_path, body + "if __name__ == '__main__':\n    F()\n")
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, check=False)
    assert "ran" not in done.stdout
