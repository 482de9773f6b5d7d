from __future__ import annotations

import pytest

from flowsdk.artifacts.preview import preview, split_label


class Talkative:
    def __repr__(self) -> str:
        raise AssertionError("a foreign __repr__ must not be called")


def test_short_values_are_shown_whole() -> None:
    assert preview(0.975) == "0.975"
    assert preview("svc") == "'svc'"
    assert preview([1, 2]) == "[1, 2]"
    assert preview(None) == "None"


@pytest.mark.parametrize("value", ["x" * 10_000, list(range(10_000)), {n: n for n in range(999)}])
def test_long_values_are_cut(value: object) -> None:
    assert len(preview(value) or "") <= 100


def test_foreign_values_show_their_type() -> None:
    assert preview(Talkative()) == "Talkative"
    assert preview([Talkative(), {"k": Talkative()}]) == "[Talkative, {'k': Talkative}]"


def test_a_preview_never_fails() -> None:
    class Moody:
        @property
        def shape(self) -> tuple[int, ...]:
            raise RuntimeError

    assert preview(Moody()) is None
    assert preview(10**5000) is None or len(preview(10**5000) or "") <= 100


def test_arrays_show_their_shape() -> None:
    numpy = pytest.importorskip("numpy")
    assert preview(numpy.zeros((3, 4))) == "ndarray 3 × 4 float64"


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("svc", "svc"),
        (3, "3"),
        (0.1, "0.1"),
        ({"kind": "svc", "C": 1.0}, "kind=svc, C=1"),
        (("a", 2), "a, 2"),
        ("", "7"),
        (Talkative(), "Talkative"),
        ("two\nlines", "two lines"),
        ("x" * 99, "x" * 39 + "…"),
    ],
)
def test_labels_of_splits(value: object, label: str) -> None:
    assert split_label(value, 7) == label
