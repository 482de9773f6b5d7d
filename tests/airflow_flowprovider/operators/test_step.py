from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Asset

from airflow_flowprovider.compat import triggers_push_xcoms
from airflow_flowprovider.config import ProviderConfig
from airflow_flowprovider.links import JOB_KEY
from airflow_flowprovider.operators import watching
from airflow_flowprovider.operators.launching import Job
from airflow_flowprovider.records import RECORD_KEY, TAGS_KEY
from flowsdk.exception import TaskFailed
from flowsdk.spec import ErrorInfo, Splits, TaskRef
from tests.airflow_flowprovider.moved import TaskDeferred
from tests.airflow_flowprovider.operators.driver import START, Driver, event
from tests.airflow_flowprovider.operators.fakes import FLOW, SPLITS, context, finish, frame
from tests.airflow_flowprovider.operators.flows import GangFlow, LoopFlow
from tests.flowsdk.aws_batch.fakes import commit, succeed


def test_what_the_dag_holds(driver: Driver) -> None:
    operator = driver.operator("join")
    assert operator.pathspec == "SampleFlow/{{ run_id }}/join"
    assert operator.job == {"image": "python:3", "queue": "q", "vcpu": 2.0, "memory_mib": 2048}
    assert operator.template_fields == ("pathspec", "job", "code", "parameters")


def test_a_step_from_launch_to_deferral_to_its_end(driver: Driver) -> None:
    ti = driver.ti("start")
    trigger = driver.defer(ti)
    assert (trigger.job_ids, trigger.ref, trigger.next_chunk) == (["job-0"], "start/0/0", 0)
    assert ti.own(JOB_KEY)["id"] == "job-0"
    spec = driver.spec(START)
    assert spec.parameters == {"size": 2}
    assert spec.facts["dag_id"] == FLOW
    assert spec.code is not None
    assert {f"dag_id:{FLOW}", "runtime:airflow"} <= set(ti.own(TAGS_KEY)["system"])

    succeed(driver.store, spec, splits=SPLITS)
    driver.fake.change("job-0", "SUCCEEDED", container={"exitCode": 0, "logStreamName": "s"})
    returned, _ = driver.resume(ti, event(trigger))
    assert returned == [0, 1]
    assert ti.own(RECORD_KEY)["status"] == "succeeded"
    assert ti.own(JOB_KEY) == {"id": "job-0", "region": "eu-west-1", "log_group": "/aws/batch/job", "log_stream": "s"}  # fmt: skip
    assert len(driver.fake.jobs) == 1


def test_a_split_has_its_label_from_the_beginning(driver: Driver) -> None:
    driver.defer(driver.ti("start"))
    finish(driver.store, driver.xcoms, "start", splits=SPLITS)
    ti = driver.ti("body", 1)
    ctx = context(ti)
    with pytest.raises(TaskDeferred) as raised:
        driver.operator("body").execute(context=ctx)  # type: ignore[arg-type]
    assert ctx["flow_split_label"] == "two"
    ref = TaskRef("body", "1", 0)
    assert driver.spec(ref).foreach == (frame(1),)
    assert driver.spec(ref).max_retries == 1
    assert driver.spec(ref).parameters is None
    succeed(driver.store, driver.spec(ref))
    _, ctx = driver.resume(ti, event(raised.value.trigger))  # type: ignore[arg-type]
    assert ctx["flow_split_label"] == "two"


def test_a_short_step_ends_in_its_first_worker(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__FLOWPROVIDER__SYNC_WINDOW", "30")
    monkeypatch.setattr(
        watching.time, "sleep", lambda _: succeed(driver.store, driver.spec(START), splits=SPLITS)
    )
    assert driver.execute(driver.ti("start")) == [0, 1]


def test_the_retry_of_a_dead_worker_adopts_the_job(driver: Driver) -> None:
    driver.defer(driver.ti("start"))
    trigger = driver.defer(driver.ti("start", try_number=2))
    assert (trigger.job_ids, trigger.ref) == (["job-0"], "start/0/0")
    succeed(driver.store, driver.spec(START), splits=SPLITS, batch_job="job-0")
    driver.fake.jobs.clear()
    # And if the job ends while nobody looks, the next try only takes note.
    assert driver.execute(driver.ti("start", try_number=3)) == [0, 1]


def test_a_user_error_is_tried_as_often_as_the_author_allows(driver: Driver) -> None:
    driver.defer(driver.ti("start"))
    finish(driver.store, driver.xcoms, "start", splits=SPLITS)
    error = ErrorInfo("user", "builtins.ValueError", "no")
    for attempt, expected in ((0, "TaskFailed"), (1, "AirflowFailException")):
        ti = driver.ti("body", 0, attempt + 1)
        trigger = driver.defer(ti)
        ref = TaskRef("body", "0", attempt)
        assert trigger.ref == str(ref)
        assert driver.spec(ref).retry_count == attempt
        commit(driver.store, driver.spec(ref), status="failed", error=error)
        driver.fake.change(trigger.job_ids[0], "FAILED")
        with pytest.raises(Exception, match="ValueError: no") as raised:
            driver.resume(ti, event(trigger))
        assert raised.type.__name__ == expected
        assert ti.own(RECORD_KEY)["attempt"] == attempt


def test_a_loop_that_fails_later_leaves_a_record_of_all_its_rounds(driver: Driver) -> None:
    ti = driver.ti("start")
    loop = driver.operator("start", flow=LoopFlow)
    with pytest.raises(TaskDeferred) as raised:
        driver.execute(ti, loop)
    succeed(driver.store, driver.spec(START), next=("start",))
    for ref in (TaskRef("start", "0.1", 0), TaskRef("start", "0.2", 0)):
        first: Any = raised.value.trigger
        with pytest.raises(TaskDeferred) as raised:
            loop.resume(context(ti), event(first))  # type: ignore[arg-type]
        assert raised.value.trigger.ref == str(ref)  # type: ignore[attr-defined]
        if ref.task == "0.1":
            succeed(driver.store, driver.spec(ref), next=("start",))
    error = ErrorInfo("user", "builtins.ValueError", "no")
    commit(driver.store, driver.spec(ref), status="failed", error=error)
    last: Any = raised.value.trigger
    with pytest.raises(Exception, match="ValueError: no"):
        loop.resume(context(ti), event(last))  # type: ignore[arg-type]
    record = ti.own(RECORD_KEY)
    assert (record["status"], record["count"], record["task"]) == ("failed", 3, "0-*")


def test_a_gang_fails_by_the_node_that_made_the_others_fail_and_is_run_again_as_a_whole(
    driver: Driver,
) -> None:
    driver.defer(driver.ti("start"))
    nodes = Splits("", 3, "", ("0", "1", "2"))
    finish(driver.store, driver.xcoms, "start", next=("train",), splits=nodes)
    gang = driver.operator("train", flow=GangFlow)
    ti = driver.ti("train")
    with pytest.raises(TaskDeferred) as raised:
        driver.execute(ti, gang)
    trigger: Any = raised.value.trigger
    (job,) = [Job.of(plain) for plain in trigger.jobs]
    assert (job.gang, job.size, trigger.ref) == (True, 3, None)
    specs = job.tasks(driver.store)
    assert [spec.facts["parallel"]["node_index"] for spec in specs] == [0, 1, 2]
    stopped = ErrorInfo("interrupted", "flowsdk.exception.Interrupted", "its gang has failed")
    commit(driver.store, specs[0], status="failed", error=stopped)
    commit(driver.store, specs[1], status="failed", error=ErrorInfo("user", "ValueError", "no"))
    # The third node was killed before it could say anything.
    driver.fake.change(job.id, "FAILED")
    driver.fake.jobs["job-1#2"] = {"jobId": "job-1#2", "jobName": "", "status": "FAILED"}
    with pytest.raises(TaskFailed, match=r"train/1 \(attempt 0\) failed: ValueError: no"):
        gang.resume(context(ti), event(trigger))  # type: ignore[arg-type]

    again = driver.ti("train", try_number=2)
    with pytest.raises(TaskDeferred) as raised:
        driver.execute(again, gang)
    trigger = raised.value.trigger
    (job,) = [Job.of(plain) for plain in trigger.jobs]
    specs = job.tasks(driver.store)
    assert [(spec.task, spec.retry_count) for spec in specs] == [("0", 1), ("1", 1), ("2", 1)]
    for spec in specs:
        succeed(driver.store, spec, next=("join",))
    assert gang.resume(context(again), event(trigger)) is None  # type: ignore[arg-type]
    record = again.own(RECORD_KEY)
    assert (record["status"], record["count"]) == ("succeeded", 3)


def test_the_same_try_again_ends_as_it_did_without_another_job(driver: Driver) -> None:
    driver.defer(driver.ti("start"))
    error = ErrorInfo("user", "builtins.ValueError", "no")
    commit(driver.store, driver.spec(START), status="failed", error=error)
    driver.fake.change("job-0", "FAILED")
    ti = driver.ti("start")
    with pytest.raises(Exception, match="ValueError: no"):
        driver.execute(ti)
    assert ti.own(RECORD_KEY)["status"] == "failed"
    assert len(driver.fake.jobs) == 1


def test_a_job_that_left_nothing_fails_by_what_aws_says(driver: Driver) -> None:
    ti = driver.ti("start")
    trigger = driver.defer(ti)
    driver.fake.change("job-0", "FAILED", statusReason="Host EC2 (instance i-1) terminated.")
    with pytest.raises(TaskFailed) as raised:
        driver.resume(ti, event(trigger))
    assert raised.value.kind == "interrupted"


def test_a_job_that_aws_has_forgotten(driver: Driver) -> None:
    ti = driver.ti("start")
    trigger = driver.defer(ti)
    driver.fake.jobs.clear()
    with pytest.raises(TaskFailed, match="does not know the job"):
        driver.resume(ti, event(trigger))


def test_the_trigger_gets_the_settings(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TRIGGER_HOLD", "POLL_INTERVAL_MIN", "POLL_INTERVAL_MAX"):
        monkeypatch.setenv(f"AIRFLOW__FLOWPROVIDER__{name}", "7")
    trigger = driver.defer(driver.ti("start"))
    config = ProviderConfig.load()
    assert trigger.hold == config.trigger_hold == 7
    assert trigger.poll_interval_min == trigger.poll_interval_max == 7
    assert trigger.aws_conn_id == "aws_default"
    assert trigger.root == driver.store.storage.root


@pytest.mark.parametrize(
    ("step", "here"),
    [
        ("start", False),  # Airflow maps over it
        ("body", True),
        ("join", True),
        ("end", True),
    ],
)
def test_which_steps_end_without_a_second_worker(driver: Driver, step: str, here: bool) -> None:
    first = driver.defer(driver.ti("start"))
    if step == "start":
        assert not first.ends_here
        return
    body, both = (frame(0),), (frame(1),)
    finish(driver.store, driver.xcoms, "start", splits=SPLITS)
    for name in ("left", "right", "both"):
        finish(driver.store, driver.xcoms, name, body)
        finish(driver.store, driver.xcoms, name, both)
    if step == "end":
        finish(driver.store, driver.xcoms, "join")
    trigger = driver.defer(driver.ti(step, 0 if step == "body" else -1))
    assert trigger.ends_here is (here and triggers_push_xcoms())
    assert trigger.job["id"] == trigger.job_ids[0]


def test_what_only_a_worker_does_takes_one(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    def ends_here(**arguments: Any) -> bool:
        operator = driver.operator("end", flow=LoopFlow, **arguments)
        with pytest.raises(TaskDeferred) as raised:
            driver.execute(driver.ti("end"), operator)
        return bool(raised.value.trigger.ends_here)  # type: ignore[attr-defined]

    driver.defer(driver.ti("start"))
    finish(driver.store, driver.xcoms, "start", next=("end",))
    assert ends_here() is triggers_push_xcoms()
    assert not ends_here(outlets=[Asset("flow")])
    assert not ends_here(on_success_callback=lambda _: None)
    assert not ends_here(post_execute=lambda *_: None)
    monkeypatch.setattr("airflow_flowprovider.operators.step.has_listeners", lambda: True)
    assert not ends_here()


def test_a_step_that_loops_to_itself_goes_on_in_a_worker(driver: Driver) -> None:
    with pytest.raises(TaskDeferred) as raised:
        driver.execute(driver.ti("start"), driver.operator("start", flow=LoopFlow))
    assert not raised.value.trigger.ends_here  # type: ignore[attr-defined]
