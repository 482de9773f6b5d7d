from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowsdk.datastore import Storage, open_storage
from flowsdk.deployer.dags_folder import Changes, DagsFolder, FlowFiles, find_dags_folder
from flowsdk.exception import DatastoreError, DeploymentError, KeyNotFound, UsageError

FLOW = b"from flowsdk import FlowSpec\nclass %s(FlowSpec):\n    pass\n"


@pytest.fixture(params=["directory", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "directory":
        yield str(tmp_path)
        return
    boto3 = pytest.importorskip("boto3")
    moto = pytest.importorskip("moto")
    with moto.mock_aws():
        boto3.client("s3").create_bucket(Bucket="flows")
        yield "s3://flows/dags"


@pytest.fixture
def storage(root: str) -> Storage:
    return open_storage(root)


def files(flow: str, script: str | None = None, **others: bytes) -> FlowFiles:
    script = script or f"{flow.lower()}.py"
    contents = {script: FLOW % flow.encode()}
    contents |= {f"{name}.py": text for name, text in others.items()}
    return FlowFiles(flow, script, contents, flow)


def present(storage: Storage) -> set[str]:
    names = {key.removeprefix("./") for key in storage.keys("")}
    return {name for name in names if not name.startswith(".flowsdk/")}


def test_files_come_and_go(root: str, storage: Storage) -> None:
    folder = DagsFolder(root)
    storage.write("other.py", [b"# somebody else's"])
    first = files("A", helper=b"1", old=b"x")
    assert folder.put(first) == Changes(written=("a.py", "helper.py", "old.py"))
    assert present(storage) == {"a.py", "helper.py", "old.py", "other.py"}
    assert not folder.put(first)
    changed = files("A", helper=b"2")
    assert folder.put(changed, dry_run=True).deleted == ("old.py",)
    assert storage.read("helper.py") == b"1"
    changes = folder.put(changed)
    assert changes == Changes(written=("helper.py",), unchanged=("a.py",), deleted=("old.py",))
    assert storage.read("helper.py") == b"2"
    assert folder.has("A")
    assert folder.remove("A").deleted == ("a.py", "helper.py")
    assert present(storage) == {"other.py"}
    assert not folder.has("A")
    with pytest.raises(DeploymentError, match="found no files of it"):
        folder.remove("A")


def test_nothing_of_anybody_else_is_replaced(root: str, storage: Storage) -> None:
    folder = DagsFolder(root)
    storage.write("helper.py", [b"# mine"])
    storage.write("a.py", [b"# mine too"])
    with pytest.raises(DeploymentError) as caught:
        folder.put(files("A", helper=b"1"))
    assert str(caught.value).count("that was not put there by flowsdk") == 2
    assert present(storage) == {"a.py", "helper.py"}
    assert storage.read("helper.py") == b"# mine"
    folder.put(files("A", helper=b"1"), overwrite=True)
    assert storage.read("helper.py") == b"1"


def test_what_was_changed_in_the_folder_is_neither_replaced_nor_deleted(
    root: str, storage: Storage
) -> None:
    folder = DagsFolder(root)
    folder.put(files("A", helper=b"1", old=b"1"))
    storage.write("helper.py", [b"# edited there"])
    storage.write("old.py", [b"# edited there"])
    with pytest.raises(DeploymentError, match=r"helper\.py: found it changed since it was put"):
        folder.put(files("A", helper=b"2"))
    changes = folder.put(files("A", helper=b"2"), overwrite=True)
    assert changes.kept == {"old.py": "it has been changed since it was put there"}
    storage.write("helper.py", [b"# edited again"])
    assert set(folder.remove("A").kept) == {"helper.py"}
    assert present(storage) == {"helper.py", "old.py"}


def test_a_second_file_with_the_same_flow_is_refused(root: str, storage: Storage) -> None:
    folder = DagsFolder(root)
    storage.write("deep/er/elsewhere.py", [FLOW % b"A"])
    storage.write("broken.py", [b"from flowsdk import FlowSpec\nclass A("])
    with pytest.raises(DeploymentError, match=r"found a flow of this name in .*deep/er/elsewhere"):
        folder.put(files("A"))
    storage.delete(["deep/er/elsewhere.py"])
    folder.put(files("A"))
    with pytest.raises(
        DeploymentError, match=r"found it deployed from a\.py in .*, expected b\.py"
    ):
        folder.put(files("A", "b.py"))
    folder.put(files("AB"))  # of which the other's name is a part


def test_modules_of_several_flows(root: str, storage: Storage) -> None:
    folder = DagsFolder(root)
    folder.put(files("A", helper=b"1"))
    folder.put(files("B", helper=b"1"))
    with pytest.raises(DeploymentError, match=r"another content, and flow B needs the file too"):
        folder.put(files("A", helper=b"2"))
    assert folder.remove("A").kept == {"helper.py": "flow B needs it too"}
    assert present(storage) == {"b.py", "helper.py"}
    folder.put(files("B", helper=b"2"))  # its own now
    folder.remove("B")
    assert present(storage) == set()


def test_what_is_there_by_other_means_stays(root: str, storage: Storage) -> None:
    folder = DagsFolder(root)
    flow = files("A", helper=b"1")
    for path, content in flow.contents.items():
        storage.write(path, [content])
    assert folder.put(flow) == Changes(unchanged=("a.py", "helper.py"))
    assert not folder.has("A")


def test_a_deployment_that_broke_off_is_completed(
    root: str, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = DagsFolder(root)
    flow = files("A", helper=b"1", more=b"1")
    kind = type(folder._storage)
    write = kind.write

    def breaks(self: Storage, key: str, parts: list[bytes], **how: bool) -> bool:
        if key == "a.py":
            raise DatastoreError("gone")
        return write(self, key, parts, **how)

    monkeypatch.setattr(kind, "write", breaks)
    with pytest.raises(DatastoreError):
        folder.put(flow)
    monkeypatch.setattr(kind, "write", write)
    # The flow file comes last: Airflow has seen nothing yet.
    assert present(storage) == {"helper.py", "more.py"}
    assert folder.put(flow).written == ("a.py",)
    folder.remove("A")
    assert present(storage) == set()


def test_a_manifest_that_nobody_understands(root: str, storage: Storage) -> None:
    storage.write(".flowsdk/A.json", [b"{"])
    with pytest.raises(DeploymentError, match="not one of flowsdk's"):
        DagsFolder(root).put(files("A"))
    storage.write(".flowsdk/A.json", [json.dumps({"version": 99}).encode()])
    with pytest.raises(DeploymentError, match="found version 99, expected 1"):
        DagsFolder(root).put(files("A"))


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="nowhere: not found, expected the folder"):
        DagsFolder(str(tmp_path / "nowhere"))
    with pytest.raises(KeyNotFound):
        open_storage(str(tmp_path)).read("a.py")


def test_where_the_folder_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AIRFLOW_HOME")
    with pytest.raises(UsageError, match="nothing says where it is. Pass --dags-folder"):
        find_dags_folder(None)
    for variable, value, found in [
        ("AIRFLOW_HOME", "/home", "/home/dags"),
        ("AIRFLOW__CORE__DAGS_FOLDER", "/airflow", "/airflow"),
        ("FLOWSDK_DAGS_FOLDER", "s3://b/dags", "s3://b/dags"),
    ]:
        monkeypatch.setenv(variable, value)
        assert find_dags_folder(None) == found
    assert find_dags_folder("/given") == "/given"
