from __future__ import annotations

import inspect
import pickle

import pytest

from flowsdk import exception
from flowsdk.exception import (
    FlowException,
    FlowLintError,
    TaskFailed,
    UnhandledInMergeArtifactsException,
    did_you_mean,
)

EXAMPLES = [
    FlowException("a message"),
    FlowLintError(["flow.py:3: [x] one", "flow.py:4: [y] two"]),
    TaskFailed("failed", "interrupted", "builtins.ValueError", "Traceback …"),
    UnhandledInMergeArtifactsException("conflict", ["a", "b"]),
]


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
def test_errors_travel_between_processes(error: FlowException) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_every_error_has_a_kind_and_a_headline() -> None:
    classes = [c for _, c in inspect.getmembers(exception, inspect.isclass)]
    errors = [c for c in classes if issubclass(c, FlowException)]
    assert len(errors) > 15
    assert {c.kind for c in errors} == {"user", "system", "interrupted"}
    assert all(c.headline for c in errors)


def test_the_lint_error_shows_every_problem() -> None:
    text = str(FlowLintError(["flow.py:3: one", "flow.py:9: two"]))
    assert text == "2 problems in the flow:\n  flow.py:3: one\n  flow.py:9: two"


def test_near_misses() -> None:
    assert did_you_mean("evalute", ["evaluate", "fit"]) == " Did you mean 'evaluate'?"
    assert did_you_mean("xyz", ["evaluate", "fit"]) == ""


def test_case_does_not_count_for_near_misses() -> None:
    assert did_you_mean("--K", ["--key", "--kind", "--k"]).startswith(" Did you mean '--k'")
    assert did_you_mean("START", ["end", "start"]) == " Did you mean 'start'?"
    assert did_you_mean("alpha", ["Alpha", "ALPHA"]) == " Did you mean 'Alpha' or 'ALPHA'?"
