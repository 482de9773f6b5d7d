from __future__ import annotations

import hashlib
import random
import sys

import pytest

from flowsdk.datastore.hashing import PIECE, Digests, digest_of, digests_of, in_pieces, plain_digest


@pytest.mark.parametrize("size", [0, 1, 3000, PIECE - 1, PIECE])
def test_up_to_one_piece_it_is_the_plain_digest(size: int) -> None:
    content = random.Random(size).randbytes(size)
    assert digest_of([content]) == hashlib.sha256(content).hexdigest()


def test_beyond_it_is_that_of_the_pieces() -> None:
    content = random.Random(0).randbytes(2 * PIECE + 5)
    pieces = [content[:PIECE], content[PIECE : 2 * PIECE], content[2 * PIECE :]]
    expected = Digests.of_pieces(hashlib.sha256(piece).digest() for piece in pieces)
    assert digests_of([content]) == expected
    assert expected.name != hashlib.sha256(content).hexdigest()
    # However it is cut.
    assert digest_of([content[:7], b"", memoryview(content)[7 : PIECE + 9], content[PIECE + 9 :]]) == expected.name  # fmt: skip


def test_pieces_refer_to_the_content() -> None:
    array = memoryview(bytearray(96)).cast("d")
    pieces = list(in_pieces([b"abc", array, b"defgh"], 50))
    assert [sum(part.nbytes for part in piece) for piece in pieces] == [50, 50, 4]
    led = in_pieces([b"abc", array, b"defgh"], 50, lead=3)
    assert [sum(part.nbytes for part in piece) for piece in led] == [53, 50, 1]
    assert (
        b"".join(part.tobytes() for piece in pieces for part in piece)
        == b"abc" + bytes(96) + b"defgh"
    )
    assert pieces[0][1].obj is array.obj


def test_pythons_own_sha256_names_small_contents_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    known = [plain_digest([b"x" * size, b"y"]) for size in (0, 1, 65_000, 70_000)]
    monkeypatch.delitem(sys.modules, "hashlib")
    assert [plain_digest([b"x" * size, b"y"]) for size in (0, 1, 65_000)] == known[:3]
    assert "hashlib" not in sys.modules
    assert plain_digest([b"x" * 70_000, b"y"]) == known[3]
    assert "hashlib" in sys.modules
