from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from flowsdk import FlowSpec, IncludeFile
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import ParameterError
from flowsdk.include_file import include_files, included
from flowsdk.parameters import json_schema, resolve_parameters
from flowsdk.registry import mark_deployed
from tests.s3_endpoint import Endpoint


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "a.txt").write_text("täxt", "utf-8")
    return folder


def flow_with(parameter: IncludeFile, deployed: bool = False) -> type[FlowSpec]:
    flow = type("Flow", (FlowSpec,), {"x": parameter, "__module__": __name__})
    if deployed:
        mark_deployed(flow)
    return flow


def store_in(folder: Path) -> FlowDatastore:
    return FlowDatastore.at(str(folder / "root"), "Flow")


@pytest.fixture
def s3() -> Iterator[Any]:
    """A client of a server that has one object, ``a/b.txt`` in ``bucket``."""
    boto3 = pytest.importorskip("boto3")
    with Endpoint() as server:
        server.buckets["bucket"] = {}
        client = boto3.client("s3", endpoint_url=server.url)
        client.put_object(Bucket="bucket", Key="a/b.txt", Body=b"from s3")
        yield client


@pytest.mark.parametrize(
    ("parameter", "given", "content"),
    [
        (IncludeFile("x"), "a.txt", "täxt"),
        (IncludeFile("x", default="a.txt"), None, "täxt"),
        (IncludeFile("x", default=lambda context: "a.txt"), None, "täxt"),
        (IncludeFile("x", is_text=False), "a.txt", "täxt".encode()),
        (IncludeFile("x", encoding="latin-1"), "a.txt", "täxt".encode().decode("latin-1")),
        (IncludeFile("x"), Path(__file__).name, Path(__file__).read_text("utf-8")),
    ],
)
def test_a_file_becomes_an_artifact_when_the_run_starts(
    folder: Path, parameter: IncludeFile, given: str | None, content: str | bytes
) -> None:
    flow, store = flow_with(parameter), store_in(folder)
    values = include_files(flow, resolve_parameters(flow, {"x": given}), store)
    ref = included(json.loads(json.dumps(values))["x"], "start/0/0")
    assert (ref.kind, ref.origin, ref.type) == (
        "parameter", "start/0/0", f"builtins.{type(content).__name__}",
    )  # fmt: skip
    from flowsdk.artifacts.scope import Scope

    assert Scope(store.storage, store.blobs, {"x": ref}).load("x") == content
    # What a resumed run takes over is left as it is.
    assert include_files(flow, values, store) == values


def test_nothing_given_is_none(folder: Path) -> None:
    flow = flow_with(IncludeFile("x"))
    assert include_files(flow, resolve_parameters(flow, {}), store_in(folder)) == {"x": None}


def test_a_file_in_s3_is_read_with_the_datastores_client(folder: Path, s3: Any) -> None:
    flow, store = flow_with(IncludeFile("x")), store_in(folder)
    store.storage.client = s3  # type: ignore[attr-defined]
    values = include_files(flow, resolve_parameters(flow, {"x": "s3://bucket/a/b.txt"}), store)
    assert values["x"]["included"]["preview"] == "'from s3'"


@pytest.mark.parametrize(
    ("parameter", "given", "message"),
    [
        (
            IncludeFile("x"),
            "no.txt",
            r"no.txt': found no such file, expected /.*/here/no.txt or /.*",
        ),
        (IncludeFile("x"), "s3://bucket", "expected s3://bucket/key"),
        (IncludeFile("x"), "https://x/y", "expected a path or s3://bucket/key"),
        (IncludeFile("x", required=True), None, "found no value, expected one: --x VALUE"),
        (IncludeFile("x", default="no.txt"), None, "found no such file"),
    ],
)
def test_what_is_no_file_is_refused_before_the_run(
    folder: Path, parameter: IncludeFile, given: str | None, message: str
) -> None:
    with pytest.raises(ParameterError, match=message):
        resolve_parameters(flow_with(parameter), {"x": given})


@pytest.mark.parametrize("encoding", ["ascii", "klingon"])
def test_a_text_in_another_encoding_is_refused(folder: Path, encoding: str) -> None:
    flow = flow_with(IncludeFile("x", encoding=encoding, default="a.txt"))
    with pytest.raises(ParameterError, match="Pass its encoding, or is_text=False"):
        include_files(flow, {"x": "a.txt"}, store_in(folder))


def test_a_deployed_flow_reads_only_what_lies_beside_it(folder: Path) -> None:
    flow = flow_with(IncludeFile("x", default="nowhere.csv"), deployed=True)
    here = Path(__file__)
    assert resolve_parameters(flow, {"x": here.name}) == {"x": here.name}
    for path in ("/etc/hostname", "../conftest.py", str(folder / "a.txt")):
        with pytest.raises(
            ParameterError, match="expected a path in the folder of the flow's file"
        ):
            resolve_parameters(flow, {"x": path})
    with pytest.raises(ParameterError, match=f"expected {here.parent}/nowhere.csv."):
        resolve_parameters(flow, {})


def test_an_s3_object_that_cannot_be_read(folder: Path, s3: Any) -> None:
    flow, store = flow_with(IncludeFile("x")), store_in(folder)
    store.storage.client = s3  # type: ignore[attr-defined]
    with pytest.raises(ParameterError, match="'s3://bucket/key' cannot be read: No object"):
        include_files(flow, {"x": "s3://bucket/key"}, store)


def test_the_form_asks_for_a_path() -> None:
    schema = json_schema(IncludeFile("x", help="A file."))
    assert schema == {"title": "x", "type": ["null", "string"], "description": "A file."}
