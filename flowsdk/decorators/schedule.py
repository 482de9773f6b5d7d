"""``@schedule``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from flowsdk.decorators.base import FlowDecorator
from flowsdk.decorators.cron import five_fields
from flowsdk.exception import did_you_mean


@dataclass(frozen=True)
class ScheduleSettings:
    """When a flow runs.

    Attributes:
        cron: A preset such as ``@daily``, or five cron fields.
        timezone: IANA name that the cron is in; None means UTC.
    """

    cron: str
    timezone: str | None


class Schedule(FlowDecorator):
    """Run a flow regularly where it is deployed.

    Args:
        cron: Five cron fields, six as EventBridge has them, or a preset such as ``@monthly``; wins
            over the other three.
        weekly: Every Sunday at midnight. Default False.
        hourly: Every full hour. Default False.
        daily: Every midnight. Default True.
        timezone: IANA name, e.g. ``"Europe/Berlin"``; UTC by default.
    """

    name = "schedule"
    defaults: ClassVar[Mapping[str, Any]] = {
        "cron": None,
        "weekly": False,
        "daily": True,
        "hourly": False,
        "timezone": None,
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
        return ScheduleSettings(cron, a["timezone"])

    def check(self) -> None:
        """The cron must have fields that cron knows, the time zone must exist."""
        a = self.attributes
        if a["cron"]:
            self._cron()
        elif not (a["weekly"] or a["hourly"] or a["daily"]):
            raise self.error("found no time, expected cron, weekly, hourly or daily.")
        if a["timezone"] is not None:
            self._check_timezone(a["timezone"])

    def _cron(self) -> str:
        cron = self.attributes["cron"]
        try:
            return five_fields(str(cron))
        except ValueError as error:
            raise self.error(f"cron={cron!r} {error}.") from None

    def _check_timezone(self, name: Any) -> None:
        # Costs milliseconds that flows without a time zone need not pay.
        from zoneinfo import ZoneInfo, available_timezones

        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError, TypeError) as error:
            known = available_timezones()
            # A container may have no time zones at all, and only runs a step there.
            if known:
                raise self.error(
                    f"timezone={name!r}, expected an IANA name such as 'Europe/Berlin'."
                    f"{did_you_mean(str(name), known)}"
                ) from error


schedule = Schedule.decorate
