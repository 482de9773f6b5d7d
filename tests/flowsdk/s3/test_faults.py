"""Uploads and downloads that break at random points: never a corrupt artifact, never half a one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest

from flowsdk.datastore import keys, open_storage
from flowsdk.datastore.blobs import HEADER, BlobStore
from flowsdk.datastore.hashing import Digests, digests_of, piece_digest
from flowsdk.datastore.s3 import S3Storage
from flowsdk.exception import DatastoreError, KeyNotFound
from tests.flowsdk.datastore.test_storage import one_wins
from tests.flowsdk.s3.conftest import PIECE
from tests.s3_endpoint import Endpoint, Faults

TRIALS = 250


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("seed", range(4))
def test_no_fault_makes_or_gives_a_corrupt_artifact(
    seed: int, endpoint: Endpoint, client: Any
) -> None:
    numbers = random.Random(seed)
    storage = open_storage("s3://flows/pre", client)
    assert isinstance(storage, S3Storage)
    blobs = BlobStore(storage, "F")
    stored = read = 0
    faults = endpoint.faults = Faults(seed, 0.0)
    for trial in range(TRIALS):
        content = numbers.randbytes(numbers.randrange(PIECE * 6))
        digests = digests_of([content])
        where = f"seed {seed}, trial {trial}"
        faults.rate = numbers.choice((0.1, 0.3, 0.6))
        try:
            blobs.put([content[:99], content[99:]], digests, compress=False)
            stored += 1
            put = True
        except DatastoreError:
            put = False
        storage.transfers.lanes.limit = numbers.choice((0, 8))  # 0: as if all were in use
        try:
            assert blobs.get(digests.name) == content, where
            read += 1
        except DatastoreError:
            pass
        faults.rate = 0.0
        try:
            assert blobs.get(digests.name) == content, where
        except KeyNotFound:
            assert not put, where
    assert stored > TRIALS * 0.8
    assert read > TRIALS * 0.5
    assert set(faults.happened) == set(Faults.KINDS)
    names = set(endpoint.buckets["flows"])
    assert len(names) >= stored
    assert all(name.startswith(f"pre/{keys.blob('F', '')[:3]}") for name in names)


def test_of_concurrent_writers_one_wins(client: Any) -> None:
    one_wins(open_storage("s3://flows/pre", client))


@pytest.mark.usefixtures("small_pieces")
def test_of_writers_whose_answers_are_lost_one_wins(endpoint: Endpoint, client: Any) -> None:
    storage = open_storage("s3://flows/pre", client)
    endpoint.faults = Faults(7, 0.5, ("lost answer", "lost 500"))
    for trial in range(50):
        won = [storage.write(f"k{trial}", [b"%d" % n], if_absent=True) for n in range(3)]
        assert won == [True, False, False]
        assert storage.read(f"k{trial}") == b"0"


@pytest.mark.usefixtures("small_pieces")
def test_an_upload_that_fails_is_called_off(endpoint: Endpoint, client: Any) -> None:
    storage = open_storage("s3://flows/pre", client)
    real, parts = endpoint.commit, []

    def refuse(*arguments: Any) -> None:
        parts.append(arguments)
        raise ConnectionError

    endpoint.commit = refuse  # type: ignore[method-assign]
    with pytest.raises(DatastoreError, match="s3://flows/pre/k"):
        storage.write("k", [bytes(PIECE * 5)])
    endpoint.commit = real  # type: ignore[method-assign]
    assert parts
    assert not endpoint.uploads
    assert not storage.exists("k")


@pytest.mark.usefixtures("small_pieces")
def test_what_was_hashed_to_be_named_is_not_hashed_to_be_sent(
    endpoint: Endpoint, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert endpoint.verify
    hashed = []

    def digest(body: Sequence[memoryview]) -> bytes:
        hashed.append(sum(part.nbytes for part in body))
        return piece_digest(body)

    monkeypatch.setattr("flowsdk.s3.wire.piece_digest", digest)
    blobs = BlobStore(open_storage("s3://flows/pre", client), "F")
    content = random.Random(0).randbytes(PIECE * 5 + 7)
    assert blobs.get(blobs.put([content[:99], content[99:]], compress=False)) == content
    assert hashed == [HEADER.size + PIECE]  # the first part has the header in it
    # What has changed in one of the other parts since it was hashed is not stored.
    with pytest.raises(DatastoreError, match="changed the value while it was stored"):
        blobs.put([content[::-1]], Digests("0" * 64, digests_of([content]).pieces), compress=False)
    assert list(endpoint.buckets["flows"]) == [f"pre/{keys.blob('F', digests_of([content]).name)}"]


@pytest.mark.usefixtures("small_pieces")
def test_very_large_objects_have_larger_parts(
    endpoint: Endpoint, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flowsdk.s3.upload._MOST_PARTS", 3)
    blobs = BlobStore(open_storage("s3://flows/pre", client), "F")
    content = random.Random(0).randbytes(PIECE * 5 + 7)
    assert blobs.get(blobs.put([content], compress=False)) == content
    (stored,) = endpoint.buckets["flows"].values()
    assert [piece.nbytes for piece in stored.pieces] == [2 * PIECE, 2 * PIECE, PIECE + 7 + HEADER.size]  # fmt: skip
