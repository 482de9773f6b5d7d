from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_flowprovider.operators.completion import conclude, outcome
from airflow_flowprovider.records import RECORD_KEY
from flowsdk.aws_batch.logs import LogReader
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import BatchError, TaskFailed
from flowsdk.runtime.logs import LogLine, LogWriter
from flowsdk.spec import ErrorInfo, Splits, TaskRecord, TaskSpec
from tests.airflow_flowprovider.operators.fakes import FLOW, RUN, SPLITS, FakeTaskInstance
from tests.flowsdk.aws_batch.fakes import commit, succeed

SPEC = TaskSpec(FLOW, RUN, "start", "0", 0, "root")
USER = ErrorInfo("user", "builtins.ValueError", "no such digit", "Traceback …")
SYSTEM = ErrorInfo("system", "flowsdk.aws_batch.NotStarted", "no role")


class Logs:
    opened = False

    def __call__(self) -> tuple[Any, str]:
        self.opened = True
        return self, "group"

    def get_log_events(self, **request: Any) -> dict[str, Any]:
        assert (request["logGroupName"], request["logStreamName"]) == ("group", "stream")
        return {"events": [{"message": "python3: not found"}]}


def end(store: FlowDatastore, state: JobState | None) -> tuple[Any, list[str], Logs]:
    shown: list[str] = []
    logs = Logs()
    result = outcome(store, SPEC, LogReader(store, RUN, SPEC.ref), shown.append, state, logs)
    return result, shown, logs


def test_the_result_decides_whatever_aws_says(store: FlowDatastore) -> None:
    own = succeed(store, SPEC)
    result, _, logs = end(store, JobState("j", status="FAILED", log_stream="stream"))
    assert result == own
    assert not logs.opened


def test_nothing_is_decided_while_aws_does_not_say_what_became_of_the_job(
    store: FlowDatastore,
) -> None:
    with pytest.raises(BatchError, match="does not say what became"):
        end(store, None)
    assert store.find_result(RUN, SPEC.ref) is None


def test_the_rest_of_the_log_comes_first(store: FlowDatastore) -> None:
    writer = LogWriter(store, RUN, SPEC.ref)
    writer.add([LogLine(1, "stderr", "last words")])
    writer.flush()
    succeed(store, SPEC)
    assert end(store, None)[1] == ["last words"]


def test_a_job_that_never_came_to_our_code_shows_what_its_container_printed(
    store: FlowDatastore,
) -> None:
    state = JobState("j", status="FAILED", exit_code=127, log_stream="stream")
    result, shown, _ = end(store, state)
    assert shown == ["python3: not found"]
    assert result.error.type == "flowsdk.aws_batch.NoResult"
    assert result == store.read_result(RUN, SPEC.ref)


def test_a_job_that_still_runs_is_not_declared_dead(store: FlowDatastore) -> None:
    with pytest.raises(BatchError, match="found it RUNNING, expected a finished job"):
        end(store, JobState("j", status="RUNNING"))
    assert store.find_result(RUN, SPEC.ref) is None


def finish(store: FlowDatastore, failures: int = 1, retry_times: int = 0, **result: Any) -> Any:
    ti = FakeTaskInstance("start")
    made = commit(store, SPEC, **result)
    try:
        return ti, conclude(ti, store, made, "job-7", lambda: failures, retry_times)
    except (TaskFailed, AirflowFailException) as error:
        return ti, error


def test_success_leaves_a_record(store: FlowDatastore) -> None:
    ti, returned = finish(store, status="succeeded", next=("end",))
    assert returned is None
    record = TaskRecord.from_dict(ti.own(RECORD_KEY))
    assert record.status == "succeeded"
    assert record.batch_job == "job-7"
    assert record.result == store.result_uri(RUN, SPEC.ref)


def test_a_foreach_says_what_to_map_over(store: FlowDatastore) -> None:
    ti, returned = finish(store, status="succeeded", splits=SPLITS)
    assert returned == [0, 1]
    assert ti.own(RECORD_KEY)["splits"] == 2


def test_a_foreach_wider_than_airflow_maps(store: FlowDatastore) -> None:
    wide = Splits("names", 1025, "digest", ("x",) * 1025)
    _, error = finish(store, status="succeeded", splits=wide)
    assert isinstance(error, AirflowFailException)
    assert "found 1025 splits, expected at most 1024" in str(error)


@pytest.mark.parametrize(
    ("error", "failures", "retry_times", "again"),
    [
        (USER, 1, 0, False),
        (USER, 1, 1, True),
        (USER, 2, 1, False),
        (SYSTEM, 0, 0, True),
        (SYSTEM, 1, 1, True),
    ],
)
def test_who_may_try_again(
    store: FlowDatastore, error: ErrorInfo, failures: int, retry_times: int, again: bool
) -> None:
    ti, raised = finish(store, failures, retry_times, status="failed", error=error)
    assert isinstance(raised, TaskFailed if again else AirflowFailException)
    assert ti.own(RECORD_KEY)["status"] == "failed"
    failed = raised if again else raised.__cause__
    assert (failed.kind, failed.type) == (error.kind, error.type)
    assert f"{error.message}" in str(raised)


def test_builtin_errors_are_called_as_users_know_them(store: FlowDatastore) -> None:
    _, raised = finish(store, status="failed", error=USER)
    assert str(raised) == (
        f"Task SampleFlow/{RUN}/start/0 (attempt 0) failed: ValueError: no such digit"
    )
