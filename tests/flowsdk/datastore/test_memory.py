from __future__ import annotations

import os

import pytest

from flowsdk.datastore.memory import in_memory


@pytest.mark.parametrize("size", [0, 1, 4096, 3 * 1024 * 1024 + 1])
def test_it_is_zero_and_belongs_to_one_process(size: int) -> None:
    room = in_memory(size)
    assert room.nbytes == size
    assert not any(room)
    child = os.fork()
    if not child:
        try:
            room[:] = b"x" * size
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert not any(room)


@pytest.mark.parametrize("size", [1 << 50, 1 << 63])
def test_too_much_is_a_memory_error(size: int) -> None:
    with pytest.raises(MemoryError, match=str(size)):
        in_memory(size)
