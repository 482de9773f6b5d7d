"""``@schedule``."""

from __future__ import annotations

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from flowsdk.decorators.base import FlowDecorator


@dataclass(frozen=True)
class ScheduleSettings:
    """When a flow runs.

    Attributes:
        cron: ``@hourly``, ``@daily``, ``@weekly`` or five cron fields.
        timezone: IANA name that the cron is in; None means UTC.
    """

    cron: str
    timezone: str | None


class Schedule(FlowDecorator):
    """Run a flow regularly where it is deployed.

    Args:
        cron: Five cron fields; wins over the other three.
        weekly: Every Sunday at midnight. Default False.
        hourly: Every full hour. Default False.
        daily: Every midnight. Default True.
        timezone: IANA name, e.g. ``"Europe/Berlin"``; UTC by default.
    """

    name = "schedule"
    defaults = {"cron": None, "weekly": False, "daily": True, "hourly": False, "timezone": None}

    @property
    def settings(self) -> ScheduleSettings:
        """When, as one cron expression."""
        a = self.attributes
        if a["cron"]:
            cron = " ".join(self._five_fields(a["cron"]))
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
            self._five_fields(a["cron"])
        elif not (a["weekly"] or a["hourly"] or a["daily"]):
            raise self.error("found no time, expected cron, weekly, hourly or daily.")
        if a["timezone"] is not None:
            try:
                ZoneInfo(a["timezone"])
            except (KeyError, ValueError, OSError, TypeError) as error:
                raise self.error(
                    f"timezone={a['timezone']!r}, expected an IANA name such as 'Europe/Berlin'."
                ) from error

    def _five_fields(self, cron: str) -> list[str]:
        """Five fields; of EventBridge's six, which Metaflow's documentation shows, the year goes."""
        fields = str(cron).split()
        if len(fields) == 6 and fields[5] in ("*", "?"):
            fields = fields[:5]
        if len(fields) != 5:
            raise self.error(
                f"cron={cron!r} has {len(fields)} fields, expected 5: minute, hour, day of month, "
                f"month, day of week."
            )
        fields = ["*" if field == "?" else field for field in fields]
        if any(letter in field for field in (fields[2], fields[4]) for letter in "LW#"):
            raise self.error(f"cron={cron!r}: L, W and # are EventBridge's own and not cron's.")
        return fields


schedule = Schedule.decorate
