from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

from tests.flowsdk.cli.conftest import Cli


def test_info(cli: Cli) -> None:
    outcome = cli("--quiet", "package", "info")
    assert outcome.code == 0
    assert "Script:     hello_flow.py\n" in outcome.out
    facts = json.loads(cli("--quiet", "package", "info", "--json").out)
    assert facts["script"] == "hello_flow.py"
    assert facts["user_files"] == ["hello_flow.py"]
    assert facts["sha256"] in outcome.out


def test_list_and_save(cli: Cli, tmp_path: Path) -> None:
    listed = cli("--quiet", "package", "list").out.splitlines()
    assert "hello_flow.py" in listed
    assert "flowsdk/runtime/task.py" in listed
    assert json.loads(cli("package", "list", "--json").out) == listed
    saved = cli("package", "save", "code.tar.gz")
    assert (saved.code, saved.out) == (0, "")
    with tarfile.open(tmp_path / "code.tar.gz") as archive:
        assert sorted(archive.getnames()) == listed
    digest = hashlib.sha256((tmp_path / "code.tar.gz").read_bytes()).hexdigest()
    assert digest == json.loads(cli("package", "info", "--json").out)["sha256"]


def test_wrong_use(cli: Cli) -> None:
    assert cli("package").code == 2
    assert "Did you mean 'list'" in cli("package", "lst").err
    wrong = cli("package", "save", "no/such/folder/x.tar.gz")
    assert wrong.code == 2
    assert "Name a file that can be written" in wrong.err
