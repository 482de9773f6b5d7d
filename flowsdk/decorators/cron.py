"""Cron expressions: checked, and EventBridge's six fields translated to the five of cron."""

from __future__ import annotations

import re

PRESETS = frozenset(
    {"@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@yearly", "@annually"}
)
#: How many days a month has at most.
_DAYS_OF = {
    "JAN": 31, "FEB": 29, "MAR": 31, "APR": 30, "MAY": 31, "JUN": 30,
    "JUL": 31, "AUG": 31, "SEP": 30, "OCT": 31, "NOV": 30, "DEC": 31,
}  # fmt: skip
_MONTHS = frozenset(_DAYS_OF)
_DAYS = frozenset(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])
#: Name, smallest and largest value of each field, and names for its values.
_FIELDS: tuple[tuple[str, int, int, frozenset[str]], ...] = (
    ("minute", 0, 59, frozenset()),
    ("hour", 0, 23, frozenset()),
    ("day of month", 1, 31, frozenset()),
    ("month", 1, 12, _MONTHS),
    # Both 0 and 7 are Sunday.
    ("day of week", 0, 7, _DAYS),
)
_PART = re.compile(r"(?P<first>\w+|[*?])(-(?P<last>\w+))?(/(?P<every>\d+))?")


def five_fields(cron: str) -> str:
    """A cron expression as a preset or five fields.

    Of six fields the last is EventBridge's year, and days of the week count from 1 (Sunday), see
    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cron-expressions.html.

    Raises:
        ValueError: It is not understood, or says what five fields cannot say.
    """
    cron = cron.strip()
    if cron in PRESETS:
        return cron
    if cron.startswith("cron(") and cron.endswith(")"):
        cron = cron[5:-1]
    fields = cron.upper().split()
    is_eventbridge = len(fields) == 6
    if is_eventbridge and fields.pop() not in ("*", "?"):
        raise ValueError("names a year, and five fields have none")
    if len(fields) != 5:
        raise ValueError(
            f"has {len(fields)} fields, expected 5: minute, hour, day of month, month, day of week"
        )
    first_day = 1 if is_eventbridge else 0
    found = [
        _field(field, index, shift=first_day if index == 4 else 0)
        for index, field in enumerate(fields)
    ]
    _, _, days, months, weekdays = found
    # Whoever looks for the next date would not find one.
    if weekdays == "*" and _smallest(days) > max(map(_days_of, _spans(months))):
        raise ValueError(f"has day {days} of month {months}, a date that never comes")
    return " ".join(found)


def _field(field: str, index: int, shift: int) -> str:
    return ",".join(_part(part, index, shift) for part in field.split(","))


def _part(text: str, index: int, shift: int) -> str:
    what, _, largest, _ = _FIELDS[index]
    match = _PART.fullmatch(text)
    if match is None:
        raise ValueError(f"has {text!r} for the {what}, which is not understood")
    first, last, every = match["first"], match["last"], match["every"]
    if every and int(every) == 0:
        raise ValueError(f"has {text!r} for the {what}, expected steps of at least 1")
    if first in ("*", "?"):
        if last is not None:
            raise ValueError(f"has {text!r} for the {what}, expected no range of {first!r}")
        span = "*"
    else:
        span = _value(first, index, shift)
        if last is None and every:
            # "5/10" is every tenth from the fifth on; not every cron takes it without an end.
            last = str((largest if index < 4 else 6) + shift)
        if last is not None:
            span += f"-{_value(last, index, shift)}"
    return f"{span}/{every}" if every else span


def _value(text: str, index: int, shift: int) -> str:
    what, smallest, largest, names = _FIELDS[index]
    if text in names:
        return text
    if text.isdigit() and smallest + shift <= int(text) <= largest:
        return str(int(text) - shift)
    raise ValueError(f"has {text!r} for the {what}, expected {smallest + shift} to {largest}")


def _spans(field: str) -> list[tuple[str, str]]:
    """The first and the last value of each part of a field that has been checked."""
    parts = [part.partition("/")[0] for part in field.split(",")]
    return [(part.partition("-")[0], part.rpartition("-")[2]) for part in parts]


def _smallest(days: str) -> int:
    """The first of the days of a month; a span that goes on in the next month has the first too."""
    return min(
        1 if first == "*" or int(last) < int(first) else int(first) for first, last in _spans(days)
    )


def _days_of(months: tuple[str, str]) -> int:
    """How many days the longest month of a span has."""
    first, last = months
    if first != last or first == "*":
        return 31  # of two months in a row, one has 31 days
    return _DAYS_OF[first] if first in _DAYS_OF else list(_DAYS_OF.values())[int(first) - 1]
