from __future__ import annotations

import json
from dataclasses import replace

from flowsdk.record import RECORD_LIMIT, TaskRecord
from flowsdk.spec import ArtifactRef, TaskResult
from tests.flowsdk.examples import RESULT


def test_a_record_lists_the_visible_artifacts_own_ones_first() -> None:
    record = TaskRecord.of(RESULT, "s3://b/p/result.json", "job-1")
    assert list(record.artifacts) == ["model", "seed"]
    assert RESULT.artifacts["seed"].origin != str(RESULT.ref)
    assert record.artifact_count == 2
    assert record.batch_job == "job-1"
    assert record.ref == RESULT.ref
    assert TaskRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record


def test_a_record_never_outgrows_its_limit() -> None:
    ref = ArtifactRef("d" * 64, 1, "builtins.int", "pickle", str(RESULT.ref))
    many = {f"artifact_{number:04d}": ref for number in range(1000)}
    record = TaskRecord.of(replace(RESULT, artifacts=many), "s3://b/p/result.json")
    assert len(record.to_json()) <= RECORD_LIMIT
    assert 10 < len(record.artifacts) < 1000
    assert record.artifact_count == 1000


def test_a_long_error_is_shortened_in_the_record() -> None:
    failed = TaskResult.from_json(RESULT.to_json())
    error = {"kind": "user", "type": "builtins.ValueError", "message": "x" * 100_000}
    document = json.loads(failed.to_json()) | {"status": "failed", "error": error}
    record = TaskRecord.of(TaskResult.from_json(json.dumps(document)), "uri")
    assert record.error is not None
    assert record.error.startswith("builtins.ValueError: xxx")
    assert len(record.to_json()) <= RECORD_LIMIT
