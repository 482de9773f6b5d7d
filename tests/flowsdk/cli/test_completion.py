"""Completion, asked of the command line itself and of real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from flowsdk.cli import main as top
from tests.flowsdk.cli.conftest import Cli
from tests.flowsdk.client import hello_flow

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["ru"], ["run"]),
        (["--quiet", "sh"], ["show"]),
        (["run", "--al"], ["--alpha"]),
        (["run", "--max-workers", ""], []),
        (["--datastore", ""], ["local", "s3"]),
        (["--datastore", "s3", "ta"], ["tag"]),
        (["tag", "re"], ["remove", "replace"]),
        (["tag", "list", "--g"], ["--group-by-run", "--group-by-tag"]),
        (["dump", ""], []),
        (["help", "ru"], []),
    ],
)
def test_what_can_come_next(cli: Cli, typed: list[str], expected: list[str]) -> None:
    outcome = cli("__complete", *typed)
    assert outcome.code == 0
    assert [line.split("\t")[0] for line in outcome.out.splitlines()] == expected


def test_every_candidate_comes_with_its_meaning(cli: Cli) -> None:
    assert "run\trun the flow here\n" in cli("__complete", "").out
    assert cli("__complete", "run", "--alpha").out == (
        "--alpha\tbelow zero, the end fails (default: 0.5)\n"
    )


def test_of_flowsdk_itself(capsys: pytest.CaptureFixture[str]) -> None:
    assert top.main(["__complete", "st"]) == 0
    assert capsys.readouterr().out.split("\t")[0] == "status"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a flow file, a file that is none, and the commands in PATH."""
    (tmp_path / "bin").mkdir()
    for name, code in (
        ("flowsdk", "from flowsdk.cli.main import main; raise SystemExit(main())"),
        ("python", None),
    ):
        script = f'#!/bin/sh\nexec {sys.executable} {f"-c {code!r}" if code else ""} "$@"\n'
        (tmp_path / "bin" / name).write_text(script.replace("'", '"').replace('""', '"'))
        (tmp_path / "bin" / name).chmod(0o755)
    shutil.copy(str(hello_flow.__file__), tmp_path / "hello.py")
    (tmp_path / "other.py").write_text("raise SystemExit('never run by a completion')\n")
    return tmp_path


def _shell(folder: Path, shell: str, code: str) -> list[str]:
    done = subprocess.run(
        [shell, {"zsh": "-f", "bash": "--norc", "fish": "--no-config"}[shell], "-c", code],
        cwd=folder,
        env={"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
             "HOME": str(folder), "TERM": "dumb"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


CASES = [
    (["flowsdk", "stat"], ["status"]),
    (["flowsdk", "configure", ""], ["show"]),
    (["python", "hello.py", "ru"], ["run"]),
    (["python", "-u", "~/hello.py", "run", "--alp"], ["--alpha"]),
    (["python", "other.py", "ru"], []),
]


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(("words", "expected"), CASES)
def test_bash(folder: Path, words: list[str], expected: list[str]) -> None:
    function = "_flowsdk" if words[0] == "flowsdk" else "_flowsdk_python"
    quoted = " ".join(f"'{word}'" for word in words)
    code = (
        'eval "$(flowsdk completion bash)"\n'
        f"complete -p {words[0]} | grep -q -- '-F {function} ' || exit 3\n"
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}\n"
        f'{function}; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    assert _shell(folder, "bash", code) == expected


@pytest.mark.skipif(not shutil.which("fish"), reason="needs fish")
@pytest.mark.parametrize(("words", "expected"), CASES[:-1])
def test_fish(folder: Path, words: list[str], expected: list[str]) -> None:
    code = f"flowsdk completion fish | source; complete -C '{' '.join(words)}' | cut -f 1"
    assert _shell(folder, "fish", code) == expected


@pytest.mark.skipif(not shutil.which("zsh"), reason="needs zsh")
@pytest.mark.parametrize(("words", "expected"), CASES[:-1])
def test_zsh(folder: Path, words: list[str], expected: list[str]) -> None:
    quoted = " ".join(f"'{word}'" for word in words)
    code = (
        "compdef() { }; _files() { }\n"
        '_describe() { for entry in "${(@)found}"; do print -r -- "${entry%%:*}"; done }\n'
        'eval "$(flowsdk completion zsh)"\n'
        f"words=({quoted}); CURRENT={len(words)}\n"
        "_flowsdk"
    )
    assert _shell(folder, "zsh", code) == expected


def test_an_unknown_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert top.main(["completion", "bsh"]) == 2
    assert "Did you mean 'bash'" in capsys.readouterr().err
