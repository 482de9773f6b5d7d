from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import flowsdk
from flowsdk import package
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import PackageError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    files = {
        "flow.py": "import json\nimport helpers\nfrom lib.deep import thing\ndef f():\n import late\n",
        "helpers.py": "from space import inner\n",
        "late.py": "",
        "lib/__init__.py": "",
        "lib/deep.py": "from . import sibling\nthing = 1\n",
        "lib/sibling.py": "",
        "lib/data/table.csv": "1,2\n",
        "space/inner.py": "",
        "space/unused.py": "",
        "other_flow.py": "import secrets_of_others\n",
        "secrets_of_others.py": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return tmp_path


def test_what_is_packed(folder: Path) -> None:
    built = package.build(folder / "flow.py")
    own = [name for name in built.files if not name.startswith("flowsdk/")]
    assert own == [
        "flow.py",
        "helpers.py",
        "late.py",
        "lib/__init__.py",
        "lib/data/table.csv",
        "lib/deep.py",
        "lib/sibling.py",
        "space/inner.py",
    ]
    assert built.script == "flow.py"
    assert "flowsdk/runtime/bootstrap.py" in built.files
    assert not [name for name in built.files if name.endswith(".pyc")]
    assert not [name for name in built.files if name.startswith("flowsdk/tutorials/")]


def test_equal_code_gives_equal_bytes(folder: Path) -> None:
    first = package.build(folder / "flow.py")
    os.utime(folder / "helpers.py", (1, 1))
    (folder / "helpers.py").chmod(0o600)
    assert package.build(folder / "flow.py") == first
    (folder / "helpers.py").write_text("x = 1\n", "utf-8")
    assert package.build(folder / "flow.py").digest != first.digest


def test_a_flow_below_the_root_keeps_its_path(folder: Path) -> None:
    (folder / "team").mkdir()
    (folder / "team" / "flow2.py").write_text("import helpers\nfrom team import more\n", "utf-8")
    built = package.build(folder / "team" / "flow2.py", folder)
    assert built.script == "team/flow2.py"
    assert "helpers.py" in built.files


def test_modules_are_found_beside_the_flow_and_below_the_root(folder: Path) -> None:
    for name in ("team/near.py", "team/common.py", "common/__init__.py", "common/util.py"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("", "utf-8")
    flow = folder / "team" / "flow2.py"
    flow.write_text("import near\nfrom common.util import x\nimport helpers\n", "utf-8")
    own = {name for name in package.build(flow, folder).files if not name.startswith("flowsdk/")}
    assert own == {
        "team/flow2.py",
        "team/near.py",
        "team/common.py",
        "helpers.py",
        "space/inner.py",
    }
    (folder / "team" / "common.py").unlink()
    assert "common/util.py" in package.build(flow, folder).files


def test_modules_that_no_file_imports_can_be_named(folder: Path) -> None:
    (folder / "extra.py").write_text("import extra_helper\n", "utf-8")
    (folder / "extra_helper.py").write_text("", "utf-8")
    plain = package.build(folder / "flow.py").files
    named = package.build(folder / "flow.py", modules=["extra", "json", "__main__", "flowsdk.x"])
    assert set(named.files) - set(plain) == {"extra.py", "extra_helper.py"}


def test_links_are_followed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "table.csv"
    elsewhere.write_text("3,4", "utf-8")
    (folder / "lib" / "linked.csv").symlink_to(elsewhere)
    assert "lib/linked.csv" in package.build(folder / "flow.py").files


def test_a_one_file_flow_stays_small(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text("", "utf-8")
    assert len(package.build(tmp_path / "flow.py").data) < 300_000


@pytest.mark.parametrize(
    ("code", "folders"),
    [
        ("", set()),
        ("import subprocess", {"aws_batch", "cli", "lint"}),
        ("from os import popen", {"aws_batch", "cli", "lint"}),
        ("import os\nos.system('true')", {"aws_batch", "cli", "lint"}),
        ("from os import system as sh", {"aws_batch", "cli", "lint"}),
        ("# a system of equations", set()),
        ("from flowsdk import Runner", {"aws_batch", "cli", "lint", "runner"}),
        ("from flowsdk import Deployer", {"aws_batch", "cli", "lint", "runner", "deployer"}),
        ("from flowsdk.cards import VegaChart", {"assets"}),
    ],
)
def test_a_job_is_given_what_its_code_names(tmp_path: Path, code: str, folders: set[str]) -> None:
    (tmp_path / "flow.py").write_text(code, "utf-8")
    files = package.build(tmp_path / "flow.py").files
    found = {name for file in files for name in Path(file).parts[:-1]}
    on_demand = {"aws_batch", "assets", "cli", "deployer", "lint", "runner", "tutorials"}
    assert found & on_demand == folders


def printed_in_a_job(built: package.CodePackage, out: Path, script: str) -> str:
    with tarfile.open(fileobj=io.BytesIO(built.data)) as archive:
        archive.extractall(out, filter="data") if sys.version_info >= (
            3,
            12,
        ) else archive.extractall(out)
    command = [sys.executable, "-c", script]
    return subprocess.run(command, cwd=out, capture_output=True, text=True, check=True).stdout


def test_flowsdk_runs_from_the_package(folder: Path, tmp_path: Path) -> None:
    built = package.build(folder / "flow.py")
    out = tmp_path / "unpacked"
    script = "import flowsdk.runtime.bootstrap as b; print(b.__file__)"
    assert Path(printed_in_a_job(built, out, script).strip()).is_relative_to(out)
    assert not Path(flowsdk.__file__).is_relative_to(out)


@pytest.mark.parametrize("name", ["Runner", "NBRunner", "Deployer", "NBDeployer", "DeployedFlow", "inspect_spin"])  # fmt: skip
def test_what_the_code_of_a_job_names_is_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "flow.py").write_text(f"from flowsdk import {name}", "utf-8")
    built = package.build(tmp_path / "flow.py")
    assert name in printed_in_a_job(
        built, tmp_path / "unpacked", f"import flow; print(flow.{name})"
    )


def test_it_is_uploaded_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FlowDatastore.at(str(folder / "store"), "F")
    built = package.build(folder / "flow.py")
    key = package.upload(store, built)
    assert key.endswith("/" + built.digest)
    assert store.storage.read(key) == built.data
    monkeypatch.setattr(store.storage, "write", lambda *_, **__: pytest.fail("uploaded again"))
    assert package.upload(store, built) == key


def test_a_broken_module_is_named(folder: Path) -> None:
    (folder / "helpers.py").write_text("def broken(:\n", "utf-8")
    with pytest.raises(PackageError, match=r"helpers\.py for the code package.*line 1"):
        package.build(folder / "flow.py")
