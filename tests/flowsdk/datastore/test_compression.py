from __future__ import annotations

import random

import pytest

from flowsdk.datastore import compression


@pytest.mark.parametrize("content", [b"lorem ipsum " * 100, random.Random(0).randbytes(100_000)])
def test_what_does_not_shrink_is_left_as_it_is(content: bytes) -> None:
    assert compression.pack([content], len(content)) is None
