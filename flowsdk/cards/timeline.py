"""``EventsTimeline``: what happened, newest first."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, ClassVar

from flowsdk.cards.base import UserComponent, rendered
from flowsdk.cards.markup import escape, short_repr, text_of

_PRIORITIES = ("low", "normal", "high", "critical")
#: Of a Unix time in seconds, not milliseconds: the year 5138.
_LATEST_SECONDS = 1e11


@dataclass(frozen=True)
class _Event:
    facts: Mapping[str, Any]
    theme: str
    priority: str
    payloads: Mapping[str, Any]
    time: str


class EventsTimeline(UserComponent):
    """Events with the newest at the top.

    Args:
        title: Shown above them.
        max_events: How many are shown; all are counted.
    """

    REALTIME_UPDATABLE = True
    VALID_THEMES: ClassVar[Mapping[str, str]] = {
        "default": "plain",
        "success": "good",
        "warning": "warn",
        "error": "bad",
        "info": "info",
        "primary": "info",
        "secondary": "plain",
        "tool_call": "vivid",
        "ai_response": "good",
    }

    def __init__(self, title: str | None = None, max_events: int = 100) -> None:
        self._title = title
        self._max_events = max_events
        self._events: list[_Event] = []
        self._count = 0
        self._first = self._last = 0.0
        self._finished = False

    def update(
        self,
        event_data: Mapping[str, Any],
        style_theme: str | None = None,
        priority: str | None = None,
        payloads: Mapping[str, Any] | None = None,
        finished: bool | None = None,
    ) -> None:
        """Add an event.

        Args:
            event_data: Name → value, in the order in which they are shown. ``timestamp``, as Unix
                time or ISO 8601, is when it happened; by default now.
            style_theme: ``default``, ``success``, ``warning``, ``error``, ``info``, ``primary``,
                ``secondary``, ``tool_call`` or ``ai_response``.
            priority: ``low``, ``normal``, ``high`` or ``critical``.
            payloads: Name → component or value, shown on demand.
            finished: Whether this was the last one.
        """
        now = time.time()
        facts = dict(event_data)
        event = _Event(
            facts={name: value for name, value in facts.items() if name != "timestamp"},
            theme=self.VALID_THEMES.get(style_theme or "default", "plain"),
            priority=priority if priority in _PRIORITIES else "normal",
            payloads=dict(payloads or {}),
            time=_moment(facts.get("timestamp", now)),
        )
        # A new list: a refresh may be reading the old one.
        self._events = [event, *self._events[: max(self._max_events - 1, 0)]]
        self._count += 1
        self._first = self._first or now
        self._last = now
        if finished is not None:
            self._finished = finished

    def get_stats(self) -> dict[str, Any]:
        """How many events there were and how fast they came."""
        stats: dict[str, Any] = {
            "total_events": self._count,
            "displayed_events": len(self._events),
            "first_event": self._first or None,
            "last_update": self._last or None,
            "finished": self._finished,
        }
        # Of what came within a second there is no rate worth telling.
        if self._count > 1 and (seconds := self._last - self._first) >= 1:
            stats["events_per_minute"] = round(self._count / seconds * 60, 1)
            stats["total_runtime_seconds"] = round(seconds, 1)
        return stats

    def render(self) -> str:
        """The component as HTML."""
        stats = self.get_stats()
        facts = [f"{self._count:,} event{'s' * (self._count != 1)}"]
        if len(self._events) < self._count:
            facts.append(f"newest {len(self._events):,} shown")
        if "events_per_minute" in stats:
            facts.append(f"{stats['events_per_minute']:,} a minute")
        if self._finished:
            facts.append("finished")
        title = escape(self._title or "Events")
        items = "".join(map(_event_html, self._events))
        return (
            f'<div class="timeline"><div class="timeline-head"><strong>{title}</strong>'
            f'<span class="note">{escape(" · ".join(facts))}</span></div><ol>{items}</ol></div>'
        )


def _event_html(event: _Event) -> str:
    facts = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{_value(value)}</dd></div>"
        for name, value in event.facts.items()
    )
    payloads = "".join(
        f"<details><summary>{escape(name)}</summary>{rendered(payload)}</details>"
        for name, payload in event.payloads.items()
    )
    mark = "" if event.priority == "normal" else f'<span class="tag">{event.priority}</span>'
    return (
        f'<li class="event {event.theme} {event.priority}"><time>{escape(event.time)}</time>{mark}'
        f"<dl>{facts}</dl>{payloads}</li>"
    )


def _value(value: Any) -> str:
    return escape(text_of(value) if isinstance(value, (str, int, float)) else short_repr(value))


def _moment(stamp: Any) -> str:
    """When an event happened, for people, in UTC."""
    try:
        if isinstance(stamp, (int, float)):
            seconds = stamp / 1000 if stamp > _LATEST_SECONDS else stamp
            stamp = datetime.fromtimestamp(seconds, timezone.utc)
        elif not isinstance(stamp, datetime):
            stamp = datetime.fromisoformat(str(stamp).replace("Z", "+00:00"))
        if stamp.tzinfo is not None:
            stamp = stamp.astimezone(timezone.utc)
    except (ValueError, OverflowError, OSError):
        return text_of(stamp)
    return f"{stamp:%Y-%m-%d %H:%M:%S}"
