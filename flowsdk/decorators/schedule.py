"""``@schedule``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone, tzinfo
from typing import Any, ClassVar

from flowsdk.decorators.base import FlowDecorator
from flowsdk.decorators.cron import five_fields
from flowsdk.decorators.dates import moment, zone_of
from flowsdk.exception import did_you_mean


@dataclass(frozen=True)
class ScheduleSettings:
    """When a flow runs.

    Attributes:
        cron: A preset such as ``@daily``, or five cron fields.
        timezone: IANA name that the cron is in; None means UTC.
        start: No run before this moment; None for no such limit.
        end: No run after this one, likewise.
        catchup: Whether the runs between ``start`` and now are made up for.
        data_interval: Whether a run stands for the time between two dates, and begins at its end.
    """

    cron: str
    timezone: str | None
    start: datetime | None = None
    end: datetime | None = None
    catchup: bool = False
    data_interval: bool = False


class Schedule(FlowDecorator):
    """Run a flow regularly where it is deployed.

    Args:
        cron: Five cron fields, six as EventBridge has them, or a preset such as ``@monthly``; wins
            over the other three.
        weekly: Every Sunday at midnight. Default False.
        hourly: Every full hour. Default False.
        daily: Every midnight. Default True.
        timezone: IANA name, e.g. ``"Europe/Berlin"``; UTC by default.
        start_date: No run before this date, ``"2026-11-21"``, or time, ``"2026-11-21T06:00"``, in the
            time zone of the schedule; also a ``date`` or ``datetime``. None by default.
        end_date: No run after it; a date means its whole day. None by default.
        catchup: Also make up for the runs between ``start_date`` and now. Default False.
        data_interval: Let each run stand for the time since the date before,
            ``current.data_interval_start`` to ``…_end``: that of a day begins when the day is over, with
            the day's begin as its ``current.logical_date``. Default False: a run's interval is the moment
            at which it begins.
    """

    name = "schedule"
    defaults: ClassVar[Mapping[str, Any]] = {
        "cron": None,
        "weekly": False,
        "daily": True,
        "hourly": False,
        "timezone": None,
        "start_date": None,
        "end_date": None,
        "catchup": False,
        "data_interval": False,
    }

    @property
    def settings(self) -> ScheduleSettings:
        """When, as one cron expression."""
        a = self.attributes
        if a["cron"]:
            cron = self._cron()
        elif a["weekly"]:
            cron = "@weekly"
        elif a["hourly"]:
            cron = "@hourly"
        else:
            cron = "@daily"
        start, end = self._moment("start_date"), self._moment("end_date")
        return ScheduleSettings(cron, a["timezone"], start, end, a["catchup"], a["data_interval"])

    def check(self) -> None:
        """The cron must have fields that cron knows, the time zone must exist."""
        a = self.attributes
        if a["cron"]:
            self._cron()
        elif not (a["weekly"] or a["hourly"] or a["daily"]):
            raise self.error("found no time, expected cron, weekly, hourly or daily.")
        if a["timezone"] is not None:
            self._check_timezone(a["timezone"])
        self._check_range()

    def _check_range(self) -> None:
        a = self.attributes
        for name in ("catchup", "data_interval"):
            if not isinstance(a[name], bool):
                raise self.error(f"{name}={a[name]!r}, expected True or False.")
        if a["catchup"] and a["start_date"] is None:
            raise self.error("catchup=True, expected start_date as well: from when on.")
        start, end = self._moment("start_date"), self._moment("end_date")
        if start and end and start > end:
            raise self.error(
                f"start_date={a['start_date']!r} comes after end_date={a['end_date']!r}."
            )

    def _moment(self, name: str) -> datetime | None:
        value = self.attributes[name]
        if value is None:
            return None
        try:
            return moment(value, self._zone(), ends=name == "end_date")
        except ValueError as error:
            raise self.error(
                f"{name}={value!r}, expected a date such as '2026-11-21' or '2026-11-21T06:00'."
            ) from error

    def _zone(self) -> tzinfo:
        try:
            return zone_of(self.attributes["timezone"])
        except (KeyError, OSError):  # a container that has no time zones only runs a step
            return timezone.utc

    def _cron(self) -> str:
        cron = self.attributes["cron"]
        try:
            return five_fields(str(cron))
        except ValueError as error:
            raise self.error(f"cron={cron!r} {error}.") from None

    def _check_timezone(self, name: Any) -> None:
        try:
            zone_of(name)
        except (KeyError, ValueError, OSError, TypeError) as error:
            from zoneinfo import available_timezones

            known = available_timezones()
            # A container may have no time zones at all, and only runs a step there.
            if known:
                raise self.error(
                    f"timezone={name!r}, expected an IANA name such as 'Europe/Berlin'."
                    f"{did_you_mean(str(name), known)}"
                ) from error


schedule = Schedule.decorate
