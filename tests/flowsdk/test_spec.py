from __future__ import annotations

import json
from dataclasses import replace

import pytest

from flowsdk.exception import UnreadableDocument
from flowsdk.spec import RunSpec, TaskRef, TaskSpec
from tests.flowsdk.examples import RESULT, RUN, RUN_END, SPEC


@pytest.mark.parametrize("document", [RUN, SPEC, RESULT, RUN_END], ids=lambda d: type(d).__name__)
def test_a_document_survives_json(document) -> None:
    assert type(document).from_json(document.to_json()) == document


def test_json_is_canonical() -> None:
    backwards = dict(reversed(list(RESULT.artifacts.items())))
    assert replace(RESULT, artifacts=backwards).to_json() == RESULT.to_json()
    assert b": " not in RESULT.to_json()


@pytest.mark.parametrize("document", [RUN, replace(SPEC, parameters={"p": 1})], ids=["run", "task"])
def test_the_values_of_parameters_keep_the_order_of_their_keys(document: RunSpec) -> None:
    ordered = {"z": 1, "a": [{"y": None, "b": "ä"}]}
    given = replace(document, parameters={"q": ordered, "p": "text"})
    read = type(given).from_json(given.to_json())
    assert json.dumps(read.parameters["q"]) == json.dumps(ordered)
    backwards = replace(given, parameters={"p": "text", "q": ordered})
    assert backwards.to_json() == given.to_json()


@pytest.mark.parametrize(
    ("version", "advice"),
    [
        (99, "Use the flowsdk version that wrote it, or a newer one."),
        (1, "Use the flowsdk version that wrote it."),
    ],
)
def test_another_schema_is_refused(version: int, advice: str) -> None:
    other = json.loads(SPEC.to_json()) | {"schema_version": version}
    with pytest.raises(UnreadableDocument) as caught:
        TaskSpec.from_json(json.dumps(other), "s3://b/spec.json")
    assert f"schema version {version} (s3://b/spec.json)" in str(caught.value)
    assert str(caught.value).endswith(advice)


@pytest.mark.parametrize(
    "broken",
    [
        b"{",
        b'{"schema_version": 2}',
        b'{"schema_version":2,"x":2}',
        b'{"schema_version":2,"parameters":{"p":1}}',
    ],
)
def test_what_is_no_document_is_refused(broken: bytes) -> None:
    with pytest.raises(UnreadableDocument, match="TaskSpec"):
        TaskSpec.from_json(broken, "somewhere")


def test_task_ref_text() -> None:
    ref = TaskRef("fit", "3-7", 12)
    assert str(ref) == "fit/3-7/12"
    assert TaskRef.parse(str(ref)) == ref
