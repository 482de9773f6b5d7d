from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import Asset
from airflow.sdk.execution_time.context import OutletEventAccessors, TriggeringAssetEventsAccessor
from airflow.timetables.base import TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable

from airflow_flowprovider.assets import (
    announce_end,
    event_parameters,
    flow_asset,
    trigger_facts,
)
from flowsdk import FlowSpec, Parameter, trigger
from tests.airflow_flowprovider.dagfiles import DagFile, serialized

FLOWS = """
from flowsdk import FlowSpec, Parameter, project, schedule, step, trigger, trigger_on_finish

{decorators}
class Waiting(FlowSpec):
    a = Parameter("a"{default})

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass
"""
NOW = datetime(2026, 11, 21, tzinfo=timezone.utc)


def made(dag_file: Callable[..., DagFile], *decorators: str, default: str = "") -> DagFile:
    return dag_file(FLOWS.format(decorators="\n".join(decorators), default=default))


def event(asset: Asset, minutes: int = 0, **extra: Any) -> Any:
    return SimpleNamespace(
        asset=SimpleNamespace(name=asset.name, uri=asset.uri),
        extra=extra,
        source_aliases=[],
        timestamp=NOW + timedelta(minutes=minutes),
    )


def context(*events: Any) -> dict[str, Any]:
    return {"triggering_asset_events": TriggeringAssetEventsAccessor.build(events)}


def test_the_end_of_every_flow_is_an_event(dag_file: Callable[..., DagFile]) -> None:
    dag = made(dag_file).dag
    assert dag.get_task("end").outlets == [Asset(name="Waiting", uri="x-flow://Waiting")]
    assert dag.get_task("start").outlets == []


@pytest.mark.parametrize(
    ("decorators", "assets"),
    [
        (['@trigger(event="x")'], {"x"}),
        (['@trigger(events=["x", "y"])'], {"x", "y"}),
        (['@trigger_on_finish(flow="Other")'], {"Other"}),
        (['@trigger_on_finish(flows=["A", "p.prod.B"])', '@trigger(event="x")'],
         {"A", "p.prod.B", "x"}),
        (['@trigger_on_finish(flow="A")', '@project(name="demo", branch="b")'], {"demo.test.b.A"}),
    ],
)  # fmt: skip
def test_a_flow_waits_for_assets(
    dag_file: Callable[..., DagFile], decorators: list[str], assets: set[str]
) -> None:
    dag = made(dag_file, *decorators).dag
    condition = serialized(dag)["timetable"]["__var"]["asset_condition"]
    assert condition["__type"] == ("asset_all" if len(assets) > 1 else "asset")
    assert {asset["name"] for asset in condition.get("objects", [condition])} == assets


def test_times_and_events_together(dag_file: Callable[..., DagFile]) -> None:
    dag = made(dag_file, "@schedule(hourly=True)", '@trigger(event="x")').dag
    stored = serialized(dag)["timetable"]
    assert stored["__type"].endswith("AssetOrTimeSchedule")
    expression = stored["__var"]["timetable"]["__var"]["expression"]
    assert expression in {"0 * * * *", "@hourly"}  # the name, where Airflow keeps it


def test_a_schedule_has_a_range_and_data_intervals(dag_file: Callable[..., DagFile]) -> None:
    dag = made(dag_file, '@schedule(timezone="Europe/Berlin", daily=True)').dag
    assert (dag.catchup, dag.start_date, dag.end_date) == (False, None, None)
    assert serialized(dag)["timetable"]["__type"].endswith("CronTriggerTimetable")
    words = 'start_date="2026-01-01", end_date="2026-12-31", catchup=True, data_interval=True'
    dag = made(dag_file, f'@schedule(timezone="Europe/Berlin", {words})').dag
    stored = serialized(dag)["timetable"]
    assert stored["__type"].endswith("CronDataIntervalTimetable")
    assert stored["__var"]["timezone"] == "Europe/Berlin"
    assert stored["__var"]["expression"] in {"0 0 * * *", "@daily"}
    assert dag.catchup is True
    assert str(dag.start_date) == "2025-12-31 23:00:00+00:00"
    assert str(dag.end_date) == "2026-12-31 22:59:59+00:00"
    both = made(dag_file, "@schedule(data_interval=True)", '@trigger(event="x")').dag
    inner = serialized(both)["timetable"]["__var"]["timetable"]
    assert inner["__type"].endswith("CronDataIntervalTimetable")


def test_a_new_schedule_begins_with_the_next_run(dag_file: Callable[..., DagFile]) -> None:
    just_past = datetime.now(timezone.utc) - timedelta(minutes=2)
    cron = f"{just_past.minute} {just_past.hour} * * *"
    dag = made(dag_file, f'@schedule(cron="{cron}")').dag
    timetable = CronTriggerTimetable.deserialize(serialized(dag)["timetable"]["__var"])
    first = timetable.next_dagrun_info(
        last_automated_data_interval=None, restriction=TimeRestriction(None, None, catchup=False)
    )
    assert first
    assert first.run_after > datetime.now(timezone.utc) + timedelta(hours=23)


def test_a_wrong_schedule_is_told_with_its_place(dag_file: Callable[..., DagFile]) -> None:
    error = made(dag_file, '@schedule(start_date="tomorrow")').import_error
    assert "flows.py:3): start_date='tomorrow', expected a date" in error


def test_a_project_is_a_part_of_the_name(
    dag_file: Callable[..., DagFile], monkeypatch: pytest.MonkeyPatch
) -> None:
    dag = made(dag_file, '@project(name="demo")').dag
    assert dag.dag_id == "demo.prod.Waiting"
    assert dag.tags == {"flow", "project:demo"}
    assert dag.get_task("end").outlets == [flow_asset("demo.prod.Waiting")]
    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__PROJECT_BRANCH", "test.nightly")
    assert made(dag_file, '@project(name="demo")').dag.dag_id == "demo.test.nightly.Waiting"
    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__PROJECT_BRANCH", "nightly")
    assert "project_branch: found 'nightly'" in made(dag_file, '@project(name="demo")').import_error


@pytest.mark.parametrize(
    ("decorator", "cause"),
    [('@trigger(event="x")', "@trigger"), ('@trigger_on_finish(flow="A")', "@trigger_on_finish")],
)
def test_nobody_gives_a_parameter_to_a_flow_that_waits(
    dag_file: Callable[..., DagFile], decorator: str, cause: str
) -> None:
    error = made(dag_file, decorator, default=", required=True").import_error
    assert f"expected one in a flow with a {cause}, where nobody gives a value" in error


def test_an_event_may_give_it(dag_file: Callable[..., DagFile]) -> None:
    decorator = '@trigger(event={"name": "x", "parameters": ["a"]})'
    dag = made(dag_file, decorator, default=", required=True").dag
    assert dag.params.validate() == {"a": None}  # the run asks for it, once the event is there


@trigger(events=[{"name": "x", "parameters": {"a": "value", "b": "other"}}, "y"])
class Listening(FlowSpec):
    a = Parameter("a", default=1)
    b = Parameter("b", default=2)


def test_events_give_parameters_and_the_last_one_wins() -> None:
    events = [event(Asset("x"), 2, value=7), event(Asset("x"), 1, value=6, more=1)]
    assert event_parameters(Listening, None, context(*events)) == {"a": 7}
    assert event_parameters(Listening, None, context(event(Asset("y"), value=1))) == {}
    assert event_parameters(Listening, None, {}) == {}


def test_what_current_is_told() -> None:
    other = flow_asset("p.prod.Other")
    known = context(
        event(Asset("x"), 1, id="e-1"), event(Asset("y")), event(other, 2, pathspec="Other/run-1")
    )
    assert trigger_facts(known) == [
        {"name": "y", "id": f"y@{NOW.isoformat()}", "timestamp": NOW.timestamp(), "type": "event"},
        {"name": "x", "id": "e-1", "timestamp": NOW.timestamp() + 60, "type": "event"},
        {"name": "p.prod.Other", "id": "Other/run-1", "timestamp": NOW.timestamp() + 120,
         "type": "run"},
    ]  # fmt: skip


def test_the_event_says_which_run_it_was() -> None:
    events = OutletEventAccessors()
    announce_end({"outlet_events": events}, "Waiting", "Waiting/run-1")
    assert events[flow_asset("Waiting")].extra == {"pathspec": "Waiting/run-1"}
