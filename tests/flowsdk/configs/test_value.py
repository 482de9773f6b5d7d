from __future__ import annotations

import copy
import json
import pickle

import pytest

from flowsdk import ConfigValue

VALUE = ConfigValue({"model": {"depth": 3, "layers": [{"size": 1}]}, "items": 5})


def test_keys_are_attributes_at_every_depth() -> None:
    assert VALUE.model.depth == VALUE["model"]["depth"] == 3
    assert VALUE.model.layers[0].size == 1
    assert VALUE["items"] == 5
    assert "model" in dir(VALUE)


def test_it_is_a_dict_that_json_and_calls_take() -> None:
    plain = {"model": {"depth": 3, "layers": [{"size": 1}]}, "items": 5}
    assert plain == VALUE
    assert json.loads(json.dumps(VALUE)) == plain
    assert dict(**VALUE.model) == plain["model"]
    assert type(VALUE.to_dict()) is type(VALUE.to_dict()["model"]) is dict


def test_it_survives_pickling_and_copying() -> None:
    for other in (pickle.loads(pickle.dumps(VALUE)), copy.copy(VALUE), copy.deepcopy(VALUE)):
        assert other == VALUE
        assert type(other.model) is ConfigValue
    assert type(VALUE.copy()) is ConfigValue


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.__setitem__("a", 1),
        lambda value: setattr(value, "a", 1),
        lambda value: value.model.update(a=1),
        lambda value: value.pop("model"),
        lambda value: value.__delitem__("model"),
        lambda value: value.__ior__({"a": 1}),
    ],
)
def test_it_cannot_be_changed(change) -> None:
    with pytest.raises(TypeError, match="immutable"):
        change(VALUE)


def test_a_misspelt_key_gets_a_suggestion() -> None:
    with pytest.raises(AttributeError, match=r"no 'detph' here.*Did you mean 'depth'"):
        _ = VALUE.model.detph
