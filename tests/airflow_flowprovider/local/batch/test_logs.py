from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from airflow_flowprovider.local.batch.logs import MAX_EVENT_CHARACTERS, LineLog, LogEvent


class Recorded:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def put(self, events: list[LogEvent]) -> None:
        assert events
        self.lines += [line for _, line in events]


def test_lines_wait_for_their_end_and_for_a_flush() -> None:
    recorded = Recorded()
    log = LineLog(recorded)
    log.feed(b"one\ntw")
    assert recorded.lines == []
    log.flush()
    assert recorded.lines == ["one"]
    log.feed(b"o\r\n\nthree")
    log.close()
    assert recorded.lines == ["one", "two", "three"]


def test_a_line_too_long_for_an_event_is_cut() -> None:
    recorded = Recorded()
    log = LineLog(recorded)
    log.feed(b"x" * (MAX_EVENT_CHARACTERS + 1))
    log.close()
    assert [len(line) for line in recorded.lines] == [MAX_EVENT_CHARACTERS, 1]


@given(st.lists(st.text(alphabet="abé→", min_size=1), max_size=6), st.data())
def test_chunks_may_be_cut_anywhere(lines: list[str], data: st.DataObject) -> None:
    raw = "".join(line + "\n" for line in lines).encode()
    cut = data.draw(st.integers(0, len(raw)))
    recorded = Recorded()
    log = LineLog(recorded)
    for chunk in (raw[:cut], raw[cut:]):
        log.feed(chunk)
        log.flush()
    log.close()
    assert recorded.lines == lines
