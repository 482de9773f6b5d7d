"""One example of each document, with every field set."""

from __future__ import annotations

from flowsdk.spec import (
    ArtifactRef,
    ForeachFrame,
    RunEnd,
    RunSpec,
    Splits,
    TaskRef,
    TaskResult,
    TaskSpec,
)

FRAME = ForeachFrame("load", "candidates", 2, 6, "a" * 64, "svc, C=1")

RUN = RunSpec(
    flow="DigitsFlow",
    run="manual__2026-11-21T09:00:00+00:00",
    parameters={"seed": 7, "test_share": 0.25, "names": ["ä", "b"]},
    code="DigitsFlow/code/" + "c" * 64,
    script="digits.py",
    user="alice",
    created_at="2026-11-21T09:00:00.000000+00:00",
    launcher="airflow",
    tags=("nightly",),
    system_tags=("user:alice",),
    origin="DigitsFlow/manual__1",
    namespace="user:bob",
)

SPEC = TaskSpec(
    flow="DigitsFlow",
    run=RUN.run,
    step="fit",
    task="2",
    attempt=1,
    root="s3://flows/flowsdk",
    parents=(TaskRef("load", "0", 0),),
    is_join=False,
    foreach=(FRAME,),
    parameters=None,
    code=RUN.code,
    script="digits.py",
    user="alice",
    namespace="user:alice",
    tags=("nightly",),
    retry_count=1,
    max_retries=2,
    timeout_seconds=90.5,
    environment={"OMP_NUM_THREADS": "1"},
    origin_run="manual__1",
    facts={"logical_date": None, "dag_id": "DigitsFlow"},
)

RESULT = TaskResult(
    flow="DigitsFlow",
    run=RUN.run,
    step="fit",
    task="2",
    attempt=1,
    status="succeeded",
    started_at="2026-11-21T09:00:10.000000+00:00",
    finished_at="2026-11-21T09:00:12.000000+00:00",
    error=None,
    artifacts={
        "model": ArtifactRef("e" * 64, 12345, "sklearn.svm.SVC", "pickle", "fit/2/1"),
        "seed": ArtifactRef("f" * 64, 20, "builtins.int", "pickle", "load/0/0", "parameter", "7"),
    },
    next=("evaluate",),
    splits=Splits("xs", 2, "b" * 64, ("one", "two")),
    foreach=(FRAME,),
    host="ip-10-0-0-1",
    batch_job="0123-4567",
    code=RUN.code,
    versions={"python": "3.11.7", "flowsdk": "0.1.0"},
)

RUN_END = RunEnd("failed", "2026-11-21T09:01:00.000000+00:00")
