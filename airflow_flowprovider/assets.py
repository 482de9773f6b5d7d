"""Flows that wait for each other and for events: Airflow's assets.

Every flow's DAG ends by an event of an asset that is called like the DAG; ``@trigger_on_finish`` waits
for those. ``@trigger`` waits for events of an asset that is called like the event, which any other DAG
may have as an outlet and Airflow's REST API may create.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetAll

from airflow_flowprovider.compat import (
    AssetOrTimeSchedule,
    CronDataIntervalTimetable,
    CronTriggerTimetable,
)
from flowsdk.decorators.settings import flow_schedule
from flowsdk.decorators.trigger import triggers_of

if TYPE_CHECKING:
    from flowsdk.decorators.project import ProjectSettings
    from flowsdk.decorators.schedule import ScheduleSettings

# With "x-" in front: else Airflow looks for whoever knows the scheme and imports all providers that have
# one, among them boto3, in each process that parses a flow.
_SCHEME = "x-flow://"


def flow_asset(dag_id: str) -> Asset:
    """The asset whose events are the successful runs of a flow's DAG."""
    return Asset(name=dag_id, uri=f"{_SCHEME}{dag_id}")


def schedule_of(flow: type, project: ProjectSettings | None) -> dict[str, Any]:
    """When a flow's DAG runs, as arguments of the DAG.

    At times, after events, whichever comes first, or only when it is triggered.

    Raises:
        DecoratorError: ``@trigger`` or ``@trigger_on_finish`` is malformed.
    """
    times = flow_schedule(flow)
    timetable = _timetable(times) if times else None
    return {
        "schedule": _with_events(flow, project, timetable),
        "catchup": bool(times and times.catchup),
        "start_date": times.start if times else None,
        "end_date": times.end if times else None,
    }


def _timetable(times: ScheduleSettings) -> CronDataIntervalTimetable | CronTriggerTimetable:
    zone = times.timezone or "UTC"
    if times.data_interval:
        return CronDataIntervalTimetable(times.cron, timezone=zone)
    # By default Airflow makes up for a run that was due before the flow was there, if that is less than a
    # tenth of the time between two runs ago.
    return CronTriggerTimetable(times.cron, timezone=zone, run_immediately=timedelta(0))


def _with_events(flow: type, project: ProjectSettings | None, timetable: Any) -> Any:
    """What ``schedule`` of a DAG takes: a timetable, assets, or both."""
    triggers = triggers_of(flow, project)
    assets = [Asset(name=event.name) for event in triggers.events]
    assets += [flow_asset(name) for name in triggers.flows]
    if not assets:
        return timetable
    condition = assets[0] if len(assets) == 1 else AssetAll(*assets)
    if timetable is None:
        return condition
    return AssetOrTimeSchedule(timetable=timetable, assets=condition)


def announce_end(context: Mapping[str, Any], dag_id: str, pathspec: str) -> None:
    """Say in the event that a run's end is which run it is.

    Args:
        context: Airflow's, of the end step.
        dag_id: Of the DAG.
        pathspec: ``Flow/run``.
    """
    context["outlet_events"][flow_asset(dag_id)].extra["pathspec"] = pathspec


def trigger_facts(context: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The events that a run was triggered by, as ``flowsdk.events.Trigger`` takes them."""
    return [
        {
            "name": asset.name,
            "id": _id_of(asset, event),
            "timestamp": event.timestamp.timestamp(),
            "type": "run" if _is_run(asset, event) else "event",
        }
        for asset, event in _events(context)
    ]


def event_parameters(
    flow: type, project: ProjectSettings | None, context: Mapping[str, Any]
) -> dict[str, Any]:
    """The parameters that the events which triggered a run give it; of several, the last one's."""
    wanted = {event.name: event.parameters for event in triggers_of(flow, project).events}
    found: dict[str, Any] = {}
    for asset, event in _events(context):
        for parameter, name in wanted.get(asset.name, {}).items():
            if name in event.extra:
                found[parameter] = event.extra[name]
    return found


def _events(context: Mapping[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Assets and their events, the oldest first. What aliases have is there under the assets too."""
    known = context.get("triggering_asset_events") or {}
    pairs = [
        (asset, event) for asset in known if isinstance(asset, Asset) for event in known[asset]
    ]
    yield from sorted(pairs, key=lambda pair: pair[1].timestamp)


def _is_run(asset: Any, event: Any) -> bool:
    return bool(asset.uri.startswith(_SCHEME) and (event.extra.get("pathspec")))


def _id_of(asset: Any, event: Any) -> str:
    if _is_run(asset, event):
        return str(event.extra["pathspec"])
    return str(event.extra.get("id") or f"{asset.name}@{event.timestamp.isoformat()}")
