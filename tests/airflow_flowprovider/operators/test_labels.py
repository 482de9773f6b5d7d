from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.execution_time import task_runner

from airflow_flowprovider.compat import label_message
from airflow_flowprovider.operators.labels import set_label


class Supervisor(list[Any]):
    def send(self, msg: Any) -> None:
        self.append(msg.rendered_map_index)


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Supervisor:
    supervisor = Supervisor()
    monkeypatch.setattr(task_runner, "SUPERVISOR_COMMS", supervisor, raising=False)
    return supervisor


def context(template: str | None) -> dict[str, Any]:
    return {"ti": SimpleNamespace(task=SimpleNamespace(map_index_template=template))}


@pytest.mark.skipif(label_message("x") is None, reason="this Airflow names tasks at their ends")
def test_a_split_is_named_before_it_ends(supervisor: Supervisor) -> None:
    split = context("{{ flow_split_label }}")
    set_label(split, "x" * 300)
    assert supervisor == ["x" * 250]
    assert split["flow_split_label"] == "x" * 250


def test_tasks_that_are_not_mapped_need_no_name(supervisor: Supervisor) -> None:
    for plain, label in ((context(None), "one"), (context("{{ flow_split_label }}"), "")):
        set_label(plain, label)
        assert plain["flow_split_label"] == label
    assert supervisor == []


def test_without_a_supervisor_the_label_comes_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(task_runner, "SUPERVISOR_COMMS", raising=False)
    split = context("{{ flow_split_label }}")
    set_label(split, "one")
    assert split["flow_split_label"] == "one"
