"""Dates as people write them: begin and end of a schedule, of a backfill."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any


def zone_of(name: str | None) -> tzinfo:
    """The time zone of an IANA name; UTC without one."""
    if name is None:
        return timezone.utc
    # Costs milliseconds that flows without a time zone need not pay.
    from zoneinfo import ZoneInfo

    return ZoneInfo(name)


def moment(value: Any, zone: tzinfo, *, ends: bool = False) -> datetime:
    """The moment that a date means.

    Args:
        value: A ``date``, a ``datetime``, or either as ISO 8601 text: ``2026-11-21``,
            ``2026-11-21T06:00``.
        zone: Of times that name none.
        ends: Whether a date without a time means the last second of its day, not the first.

    Raises:
        ValueError: It is none of these.
    """
    text = value.isoformat() if isinstance(value, date) else str(value)
    found = datetime.fromisoformat(text.replace("Z", "+00:00"))  # Python 3.10 does not read the Z
    if ends and len(text) <= len("2026-11-21"):  # 20261121 is one, too
        found += timedelta(days=1, seconds=-1)
    return found if found.tzinfo else found.replace(tzinfo=zone)
