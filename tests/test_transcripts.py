"""The transcripts in the docs are what a run prints now; ``python -m tests.transcripts`` renews them."""

from __future__ import annotations

from tests import transcripts


def test_a_run_in_a_terminal() -> None:
    written = (transcripts.DOCS / "run-terminal.txt").read_text("utf-8")
    assert transcripts.masked(transcripts.terminal()) == transcripts.masked(written)


def test_a_run_into_a_pipe() -> None:
    written = (transcripts.DOCS / "run-piped.txt").read_text("utf-8")
    assert transcripts.masked(transcripts.piped()) == transcripts.masked(written)


def test_a_failing_run_ends_with_the_users_error() -> None:
    for name in ("run-terminal.txt", "run-piped.txt"):
        *_, before, error, code = (transcripts.DOCS / name).read_text("utf-8").splitlines()
        assert before.strip().startswith("raise ValueError(")
        assert error == "ValueError: 121 points, and there are only 100 to win"
        assert code == "(exit code 1)"
