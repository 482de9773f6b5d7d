from __future__ import annotations

import time

import pytest

from flowsdk import profile


def test_the_time_is_printed_in_milliseconds(capsys: pytest.CaptureFixture[str]) -> None:
    with profile("loading"):
        time.sleep(0.01)
    first, second = capsys.readouterr().out.splitlines()
    assert first == "PROFILE: loading starting"
    assert second.startswith("PROFILE: loading completed in ")
    assert 10 <= int(second.rpartition(" ")[2].removesuffix("ms")) < 5000


def test_times_of_one_label_add_up_also_of_what_fails(capsys: pytest.CaptureFixture[str]) -> None:
    stats: dict[str, float] = {"other": 1}
    for _ in range(2):
        with profile("part", stats_dict=stats):
            time.sleep(0.01)
    once = stats["part"]
    assert once >= 20
    with pytest.raises(KeyError), profile("part", stats):
        raise KeyError
    assert stats["part"] > once
    assert stats["other"] == 1
    assert capsys.readouterr().out == ""
