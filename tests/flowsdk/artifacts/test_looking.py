from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from flowsdk import FlowSpec, Parameter, step
from flowsdk.artifacts.looking import untouched

ROWS = frozenset({"rows"})


def wrapped(function: Any) -> Any:
    @wraps(function)
    def inner(self: Any) -> None:
        self.rows.append(1)
        function(self)

    return inner


def quietly(function: Any) -> Any:
    def inner(self: Any) -> None:
        function(self)

    inner.__name__ = function.__name__
    return inner


class Looks(FlowSpec):
    limit = Parameter("limit", default=3)

    def size(self) -> None:
        self.n = len(self.rows)
        self.other.append(self.limit)

    def kind(self) -> None:
        print(
            isinstance(self.rows, list),
            type(self.rows),
            id(self.rows),
            bool(self.rows),
            self.rows is None,
        )

    def condition(self) -> None:
        if self.rows and not self.rows:
            return
        if self.rows:
            self.n = 1 if self.rows else 2
        while not self.rows:
            break

    def replaced(self) -> None:
        self.rows = [1]

    def in_a_function(self) -> None:
        def inner() -> int:
            return len(self.rows)

        self.n = inner()


def test_a_step_that_looks() -> None:
    for name in ("size", "kind", "replaced", "in_a_function"):
        assert untouched(vars(Looks)[name], Looks, ROWS) == ROWS, name


class Touches(FlowSpec):
    @property
    def first(self) -> Any:
        return self.rows[0]

    def helper(self) -> None:
        self.rows.append(1)

    def passed_on(self) -> None:
        sorted(self.rows)

    def iterated(self) -> None:
        for row in self.rows:
            row.clear()

    def called(self) -> None:
        self.rows.append(1)

    def added_to(self) -> None:
        self.rows += [1]

    def element(self) -> None:
        self.rows[0] = 1

    def by_another_name(self) -> None:
        rows = self.rows
        rows.append(1)

    def whole(self) -> None:
        print(self)

    def by_name(self) -> None:
        self.__dict__["rows"].append(1)

    def by_method(self) -> None:
        self.helper()

    def by_property(self) -> None:
        self.first.clear()

    def as_text(self) -> None:
        eval("self.rows.append(1)")

    def compared(self) -> None:
        print(self.rows == [1])

    def chosen(self) -> None:
        (self.rows or []).append(1)

    def own_len(self) -> None:
        len = list.clear  # noqa: A001
        len(self.rows)

    def own_len_within(self) -> None:
        def inner() -> None:
            len = list.clear  # noqa: A001
            len(self.rows)

        inner()

    def by_step(self) -> None:
        self.end()

    def by_step_of_another_name(self) -> None:
        step = self.end
        step()

    def by_hand(self) -> None:
        breakpoint()  # noqa: T100

    @wrapped
    def decorated(self) -> None:
        len(self.rows)

    @quietly
    def decorated_quietly(self) -> None:
        len(self.rows)

    def rebound(self) -> None:
        me, self = self, None  # noqa: PLW0642
        me.rows.append(1)

    def by_super(self) -> None:
        super().__getattribute__("helper")()

    @step
    def end(self) -> None:
        self.rows.append(1)


@pytest.mark.parametrize("name", [n for n, f in vars(Touches).items() if callable(f) and n != "first"])  # fmt: skip
def test_a_step_that_may_touch(name: str) -> None:
    assert not untouched(vars(Touches)[name], Touches, ROWS)


def test_what_has_no_source(tmp_path: Any) -> None:
    space: dict[str, Callable[..., None]] = {}
    exec("def step(self):\n    len(self.rows)\n", space)
    assert not untouched(space["step"], Looks, ROWS)
    assert not untouched(len, Looks, ROWS)


SOURCE = """
from flowsdk import FlowSpec

class Edited(FlowSpec):
    def work(self):
        assert len(self.rows) == 2
"""


def test_a_file_that_was_edited_since_does_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "edited_while_it_runs.py"
    monkeypatch.syspath_prepend(str(tmp_path))
    file.write_text(SOURCE)
    flow = import_module(file.stem).Edited
    flow.work(SimpleNamespace(rows=[1, 2]))  # the interpreter may rewrite code that it has run
    assert untouched(flow.work, flow, ROWS) == ROWS
    file.write_text(SOURCE.replace("== 2", "== 3"))
    assert not untouched(flow.work, flow, ROWS)
    monkeypatch.delitem(sys.modules, file.stem)


def test_the_condition_and_the_rest_are_told_apart() -> None:
    names = frozenset({"rows", "other"})
    assert untouched(vars(Looks)["size"], Looks, names) == ROWS


class Steps(FlowSpec):
    @step
    def start(self) -> None:
        len(self.rows)
        self.next(self.choice)

    @step
    def choice(self) -> None:
        self.which = "end"
        self.next({"start": self.start, "end": self.end}, condition="which")

    @step
    def end(self) -> None:
        pass


def test_the_transition_touches_nothing() -> None:
    assert untouched(Steps.start, Steps, ROWS) == ROWS
    assert untouched(Steps.choice, Steps, ROWS) == ROWS
