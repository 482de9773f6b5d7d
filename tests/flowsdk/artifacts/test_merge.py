from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import flowsdk
from flowsdk.artifacts.merge import merge
from flowsdk.artifacts.scope import Scope
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import (
    FlowException,
    MissingInMergeArtifactsException,
    UnhandledInMergeArtifactsException,
)
from flowsdk.spec import ArtifactRef


@pytest.fixture
def store(tmp_path: Path) -> FlowDatastore:
    return FlowDatastore.at(str(tmp_path), "F")


class FakeInputs:
    def __init__(self, *scopes: Scope) -> None:
        self.scopes = scopes


def branch(store: FlowDatastore, **values: object) -> Scope:
    refs = Scope(store.storage, store.blobs, {}).changed(values, {}, "a/0/0")
    return Scope(store.storage, store.blobs, refs)


def merged(*scopes: Scope, include: tuple[str, ...] = ()) -> dict[str, ArtifactRef]:
    join = Scope(scopes[0]._storage, scopes[0].blobs, {})
    merge(join, {}, FakeInputs(*scopes), (), include)  # type: ignore[arg-type]
    return join.refs


def test_nothing_is_loaded_where_digests_agree(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [branch(store, x=[1], y="a"), branch(store, x=[1])]
    monkeypatch.setattr(store.blobs, "open", lambda _: pytest.fail("loaded"))
    assert set(merged(*inputs)) == {"x", "y"}


SAVE = """
import sys
from flowsdk.artifacts.scope import Scope
from flowsdk.datastore import FlowDatastore
store = FlowDatastore.at(sys.argv[1], "F")
words = [f"word {n}" for n in range(50)]
refs = Scope(store.storage, store.blobs, {}).changed({"words": set(words)}, {}, "a/0/0")
print(refs["words"].digest)
"""


def test_a_set_of_text_from_processes_of_different_hash_seeds_is_no_conflict(
    store: FlowDatastore,
) -> None:
    digests = [
        subprocess.run(
            [sys.executable, "-c", SAVE, store.storage.root],
            env={"PYTHONHASHSEED": str(seed)},
            cwd=Path(flowsdk.__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in (1, 2)
    ]
    assert digests[0] != digests[1]  # otherwise this would show nothing
    ref = branch(store, words={"x"}).refs["words"]
    inputs = [
        Scope(store.storage, store.blobs, {"words": ArtifactRef(**{**vars(ref), "digest": digest})})
        for digest in digests
    ]
    assert merged(*inputs)["words"].digest == digests[0]


def test_numbers_of_different_types_are_a_conflict(store: FlowDatastore) -> None:
    with pytest.raises(UnhandledInMergeArtifactsException) as caught:
        merged(branch(store, x=1, same=0), branch(store, x=1.0, same=0))
    assert caught.value.artifact_names == ["x"]


def test_only_as_much_is_loaded_as_shows_the_conflict(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    inputs = [branch(store, x=n) for n in range(100)]
    read: list[str] = []
    open_ = store.blobs.open
    monkeypatch.setattr(store.blobs, "open", lambda digest: read.append(digest) or open_(digest))
    with pytest.raises(UnhandledInMergeArtifactsException):
        merged(*inputs)
    assert len(read) == 2


def test_what_no_input_has_cannot_be_included(store: FlowDatastore) -> None:
    with pytest.raises(MissingInMergeArtifactsException, match="Did you mean 'accuracy'"):
        merged(branch(store, accuracy=1), include=("acuracy",))


def test_outside_a_join_there_is_nothing_to_merge(store: FlowDatastore) -> None:
    with pytest.raises(FlowException, match="outside a join"):
        merge(branch(store), {}, object(), (), ())  # type: ignore[arg-type]
