from __future__ import annotations

from pathlib import Path

import pytest

from flowsdk.runtime import memory


@pytest.mark.parametrize(
    ("text", "kills"),
    [
        ("low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 0\n", 2),
        ("oom_kill_disable 0\nunder_oom 0\noom_kill 5\n", 5),
        ("oom_kill_disable 0\nunder_oom 0\n", 0),
        ("oom_kill many\n", 0),
    ],
)
def test_linux_says_how_often(
    text: str, kills: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "counter"
    file.write_text(text)
    monkeypatch.setattr(memory, "_COUNTERS", (str(tmp_path / "none"), str(file)))
    assert memory.oom_kills() == kills


def test_where_nobody_counts_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "_COUNTERS", (str(tmp_path / "none"),))
    assert memory.oom_kills() == 0
