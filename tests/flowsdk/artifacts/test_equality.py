from __future__ import annotations

import subprocess
import sys
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import flowsdk
from flowsdk.artifacts.equality import canonical_digest


@dataclass
class Tags:
    names: set[str] = field(default_factory=set)


WORDS = ("alpha", "beta", "gamma", "delta", "epsilon")
MAKERS = {
    "set": "set(WORDS)",
    "frozenset": "frozenset(WORDS)",
    "nested": "{'a': [set(WORDS), (frozenset(WORDS),)]}",
    "set of frozensets": "{frozenset(WORDS[:2]), frozenset(WORDS[2:])}",
    "dict made from a set": "{word: len(word) for word in set(WORDS)}",
}


@pytest.mark.parametrize("maker", MAKERS.values(), ids=MAKERS)
def test_equal_values_are_equal_whatever_the_hash_seed(maker: str) -> None:
    script = f"""
from flowsdk.artifacts.equality import canonical_digest
WORDS = {WORDS!r}
print(canonical_digest({maker}))
"""
    digests = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": str(seed)},
            cwd=Path(flowsdk.__file__).parents[1],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in range(3)
    }
    assert len(digests) == 1
    assert digests != {"None\n"}


def test_the_members_of_objects_count() -> None:
    assert canonical_digest(Tags({"a", "b"})) == canonical_digest(Tags({"b", "a"}))
    assert canonical_digest(Tags({"a"})) != canonical_digest(Tags({"b"}))


def test_sharing_does_not_count() -> None:
    shared = ["x"]
    assert canonical_digest([shared, shared]) == canonical_digest([["x"], ["x"]])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        ("1", 1),
        ([1, 2], [2, 1]),
        ({1}, frozenset({1})),
        ({"a": 1}, {"a": 2}),
        (OrderedDict(a=1, b=2), OrderedDict(b=2, a=1)),
    ],
    ids=repr,
)
def test_what_differs_is_not_equal(one: object, other: object) -> None:
    assert canonical_digest(one) != canonical_digest(other)


def test_values_without_such_a_form_have_no_digest() -> None:
    itself: list[object] = []
    itself.append(itself)
    assert canonical_digest(itself) is None
    assert canonical_digest(lambda: 0) is None
