from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from flowsdk.runtime import redaction
from flowsdk.runtime.redaction import MASK, SHORTEST, Redactor

SECRETS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)


@given(st.lists(SECRETS), st.text(max_size=20), st.text(max_size=20))
def test_nothing_long_enough_stays(secrets: list[str], before: str, after: str) -> None:
    redactor = Redactor()
    redactor.learn(secrets)
    for secret in secrets:
        found = redactor.redact(before + secret + after)
        if len(secret.strip()) >= SHORTEST and "*" not in secret:
            assert secret not in found.replace(MASK, "")[len(before) + len(after) :]
            assert MASK in found


def test_what_is_printed_of_a_secret_of_several_lines_is_replaced_too() -> None:
    redactor = Redactor()
    redactor.learn(["first line\nsecond line\nx"])
    assert redactor.redact("first line") == redactor.redact("second line") == MASK
    assert redactor.redact(repr({"key": "first line\nsecond line\nx"})) == f"{{'key': '{MASK}'}}"
    assert redactor.redact("x") == "x"


def test_the_longer_of_two_secrets_is_replaced_as_a_whole() -> None:
    redactor = Redactor()
    redactor.learn(["pass"])
    redactor.learn(["password"])
    assert redactor.redact("a password") == f"a {MASK}"


def test_secrets_reach_the_process_that_reads_the_pipe(monkeypatch) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(redaction, "_channel", None)
    monkeypatch.setattr(redaction, "_own", Redactor())
    redaction.hide(["sesame\nopen"])  # known before there is a pipe, as what a module reads
    redaction.tell_through(writer)
    redaction.hide(["täst"])
    os.write(writer, b'{"schema_version": 1}')
    os.close(writer)
    received, parent = bytearray(), Redactor()
    while data := os.read(reader, 7):  # however the pipe is read
        received += data
        parent.take(received)
    os.close(reader)
    assert received == b'{"schema_version": 1}'
    assert parent.redact("sesame, täst") == f"{MASK}, {MASK}"
    assert redaction.redact("sesame") == MASK
