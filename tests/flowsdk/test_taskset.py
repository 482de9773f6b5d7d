from __future__ import annotations

import pytest

from flowsdk.exception import DatastoreError
from flowsdk.runtime.loader import read_spec
from flowsdk.spec import Splits, TaskRef, TaskSpec
from flowsdk.taskset import Outcome, SetOutcome, pack_specs, unpack_specs

SPLITS = Splits("xs", 3, "digest", tuple("äbc"))
SPECS = [
    TaskSpec("F", "r", "s", str(n), 0, "s3://b", foreach=(SPLITS.frame("start", n),), code=f"c{n}")
    for n in range(3)
]


def test_specs_come_back_in_order() -> None:
    assert unpack_specs(b"".join(pack_specs(SPECS))) == SPECS


@pytest.mark.parametrize(
    ("uri", "index", "expected"),
    [("s3://b/specs#0", "2", 2), ("s3://b/specs#1", "1", 2), ("s3://b/specs#1", None, 1)],
)
def test_a_job_reads_its_own_spec_and_no_other(
    monkeypatch: pytest.MonkeyPatch, uri: str, index: str | None, expected: int
) -> None:
    content = b"".join(pack_specs(SPECS))
    ranges: list[str] = []

    def get(of: str, Range: str) -> bytes:
        assert of == "s3://b/specs"
        ranges.append(Range)
        first, last = Range.removeprefix("bytes=").split("-")
        return content[int(first) : int(last) + 1]

    if index is not None:
        monkeypatch.setenv("AWS_BATCH_JOB_ARRAY_INDEX", index)
    assert TaskSpec.from_json(read_spec(uri, get)) == SPECS[expected]
    assert len(ranges) == 2


def test_a_job_of_one_task_reads_one_object() -> None:
    uri = "s3://b/a#1/spec.json"  # of a datastore whose root has the sign in it
    assert read_spec(uri, lambda whole: whole.encode()) == uri.encode()


def test_outcomes_come_back_whole() -> None:
    outcomes = (
        Outcome(TaskRef("s", "1-2", 3), (SPLITS.frame("start", 1),), ("a", "b")),
        Outcome(TaskRef("s", "0.4", 0), (), ("c",), SPLITS),
    )
    whole = SetOutcome("F", "r", "s", outcomes)
    assert SetOutcome.unpack(whole.pack(), "here") == whole
    with pytest.raises(DatastoreError, match="here"):
        SetOutcome.unpack(b"something else", "here")
