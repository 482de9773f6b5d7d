from __future__ import annotations

import threading
from typing import Any

import pytest

from flowsdk.artifacts.constants import ConstantsWatch


@pytest.mark.parametrize(
    ("value", "change"),
    [
        ([1], lambda value: value.append(2)),
        ({"a": [1]}, lambda value: value["a"].append(2)),
        ({1, 2}, lambda value: value.discard(1)),
        (bytearray(b"a"), lambda value: value.extend(b"b")),
    ],
)
def test_a_container_that_is_changed_in_place_is_noticed(value: Any, change: Any) -> None:
    watch = ConstantsWatch(lambda: {"untouched": [1], "value": value})
    assert watch.changed() == []
    change(value)
    assert watch.changed() == ["value"]


def test_what_cannot_be_compared_is_not_said_to_have_changed() -> None:
    values: dict[str, list[Any]] = {"before": [threading.Lock()], "after": []}
    watch = ConstantsWatch(lambda: values)
    values["before"].clear()
    values["after"].append(threading.Lock())
    assert watch.changed() == []
