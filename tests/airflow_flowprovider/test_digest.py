from __future__ import annotations

from pathlib import Path

from airflow_flowprovider.digest import digest, failed_task
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.runtime.logs import LogLine, LogWriter
from flowsdk.spec import ErrorInfo, TaskSpec

SPEC = TaskSpec("MyFlow", "run-1", "train", "3", 1, "root")


def test_jobs_are_counted_by_their_tasks() -> None:
    begun = JobState("a", status="PENDING", children={"RUNNING": 2, "SUCCEEDED": 3, "FAILED": 1})
    not_begun = JobState("b", status="SUBMITTED")
    assert digest([(6, begun), (4, not_begun), (1, JobState("c"))]) == (
        "4 of 11 tasks ended; SUBMITTED 4, RUNNING 2, SUCCEEDED 3, FAILED 1, UNKNOWN 1"
    )


def test_a_failed_task_is_told_by_its_reason_its_job_and_its_last_lines(tmp_path: Path) -> None:
    store = FlowDatastore.at(str(tmp_path), "MyFlow")
    writer = LogWriter(store, SPEC.run, SPEC.ref)
    writer.add([LogLine(1, "stdout", f"line {number}") for number in range(100)])
    writer.flush()
    error = ErrorInfo("user", "builtins.ValueError", "no such digit")
    first, *lines = failed_task(store, SPEC, error, "https://console")
    assert first == (
        "Task MyFlow/run-1/train/3 (attempt 1) failed: ValueError: no such digit. "
        "Its job: https://console. The end of its log:"
    )
    assert lines == [f"    line {number}" for number in range(80, 100)]


def test_a_failed_task_of_which_little_is_known(tmp_path: Path) -> None:
    store = FlowDatastore.at(str(tmp_path), "MyFlow")
    assert list(failed_task(store, SPEC, None)) == [
        "Task MyFlow/run-1/train/3 (attempt 1) failed. The end of its log:"
    ]
