"""The life of jobs, through boto3 against a server process."""

from __future__ import annotations

import time

from tests.airflow_flowprovider.local.conftest import Jobs, wait_for
from tests.airflow_flowprovider.local.test_processes import alive

ANY_HOST_LOSS = [
    {"action": "RETRY", "onStatusReason": "Host EC2*"},
    {"action": "EXIT", "onReason": "*"},
]


def test_a_job_passes_through_the_states_in_order(jobs: Jobs) -> None:
    job_id = jobs.submit("states", "sleep 0.3")
    seen: list[str] = []
    while not seen or seen[-1] != "SUCCEEDED":
        status = jobs.describe(job_id)["status"]
        if status not in seen:
            seen.append(status)
        assert status != "FAILED"
    order = ["SUBMITTED", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED"]
    assert seen == [status for status in order if status in seen]
    assert {"RUNNING", "SUCCEEDED"} <= set(seen)


def test_a_finished_job_tells_all_about_itself(jobs: Jobs) -> None:
    job = jobs.run(
        "one",
        "echo $COLOUR $SIZE Ref::greeting $AWS_BATCH_JOB_ATTEMPT $AWS_BATCH_JQ_NAME; exit 0",
        parameters={"greeting": "hi"},
        containerOverrides={"environment": [{"name": "SIZE", "value": "L"}]},
    )
    assert job["status"] == "SUCCEEDED"
    assert job["statusReason"] == "Essential container in task exited"
    assert job["container"]["exitCode"] == 0
    assert job["createdAt"] <= job["startedAt"] <= job["stoppedAt"]
    assert job["attempts"][0]["container"]["logStreamName"] == job["container"]["logStreamName"]
    assert jobs.lines(job) == ["red L hi 1 flows"]


def test_the_environment_is_the_jobs_and_not_the_servers(jobs: Jobs) -> None:
    job = jobs.run("env", "env | cut -d= -f1 | sort; echo home=$HOME; ls -A $HOME | wc -l")
    *names, home, entries = jobs.lines(job)
    assert {"AWS_ENDPOINT_URL", "AWS_BATCH_JOB_ID", "COLOUR", "HOME", "PATH", "TMPDIR"} <= set(
        names
    )
    assert not [name for name in names if name.startswith(("PYTHON", "AIRFLOW", "VIRTUAL"))]
    assert "/jobs/" in home
    assert entries.strip() == "0"


def test_a_failed_attempt_is_retried_up_to_the_limit(jobs: Jobs) -> None:
    job = jobs.run(
        "fails", "echo attempt $AWS_BATCH_JOB_ATTEMPT; exit 3", retryStrategy={"attempts": 3}
    )
    assert job["status"] == "FAILED"
    assert [a["container"]["exitCode"] for a in job["attempts"]] == [3, 3, 3]
    assert [jobs.lines(a) for a in job["attempts"]] == [[f"attempt {n}"] for n in (1, 2, 3)]


def test_the_first_matching_exit_condition_decides(jobs: Jobs) -> None:
    conditions = [
        {"action": "RETRY", "onExitCode": "1*"},
        {"action": "EXIT", "onReason": "*"},
    ]
    strategy = {"attempts": 5, "evaluateOnExit": conditions}
    flaky = jobs.submit("flaky", "[ $AWS_BATCH_JOB_ATTEMPT = 2 ]", retryStrategy=strategy)
    final = jobs.submit("final", "exit 7", retryStrategy=strategy)
    assert (jobs.finish(flaky)["status"], len(jobs.describe(flaky)["attempts"])) == ("SUCCEEDED", 2)
    assert (jobs.finish(final)["status"], len(jobs.describe(final)["attempts"])) == ("FAILED", 1)


def test_a_lost_host_is_retried_where_the_strategy_says_so(jobs: Jobs) -> None:
    reason = "Host EC2 (instance i-0abc) terminated."
    job_id = jobs.submit(
        "spot",
        "[ $AWS_BATCH_JOB_ATTEMPT = 2 ] || sleep 60",
        retryStrategy={"attempts": 3, "evaluateOnExit": ANY_HOST_LOSS},
    )
    arn = jobs.reach(job_id, "RUNNING")["jobArn"]
    jobs.batch.tag_resource(resourceArn=arn, tags={"local-batch:interrupt": reason})
    job = jobs.finish(job_id)
    assert job["status"] == "SUCCEEDED"
    assert [a["statusReason"] for a in job["attempts"]] == [
        reason,
        "Essential container in task exited",
    ]
    assert "exitCode" not in job["attempts"][0]["container"]


def test_a_timeout_fails_the_job_and_is_never_retried(jobs: Jobs) -> None:
    job = jobs.run(
        "slow",
        "exec sleep 60",
        timeout={"attemptDurationSeconds": 1},
        retryStrategy={"attempts": 3},
    )
    assert (job["status"], job["statusReason"]) == (
        "FAILED",
        "Job attempt duration exceeded timeout",
    )
    assert len(job["attempts"]) == 1
    assert 1000 <= job["stoppedAt"] - job["startedAt"] < 10_000


def test_terminate_sends_sigterm_first(jobs: Jobs) -> None:
    job_id = jobs.submit("polite", "trap 'echo bye; exit 9' TERM; echo up; sleep 60 & wait")
    wait_for(lambda: jobs.lines(jobs.describe(job_id)) == ["up"])
    jobs.batch.terminate_job(jobId=job_id, reason="no longer needed")
    job = jobs.finish(job_id)
    assert (job["status"], job["statusReason"]) == ("FAILED", "no longer needed")
    assert job["isTerminated"]
    assert job["container"]["exitCode"] == 9
    assert jobs.lines(job) == ["up", "bye"]


def test_terminate_kills_what_ignores_sigterm(jobs: Jobs) -> None:
    job_id = jobs.submit("stubborn", "trap '' TERM; echo up; while :; do sleep 0.1; done")
    wait_for(lambda: jobs.lines(jobs.describe(job_id)) == ["up"])
    asked = time.monotonic()
    jobs.batch.terminate_job(jobId=job_id, reason="now")
    job = jobs.finish(job_id)
    assert job["container"]["exitCode"] == 137
    assert time.monotonic() - asked >= 1  # stop_grace_seconds of the fixture


def test_logs_are_readable_while_the_job_runs(jobs: Jobs) -> None:
    job_id = jobs.submit("talks", "echo first; sleep 60")
    wait_for(lambda: jobs.lines(jobs.describe(job_id)) == ["first"])
    assert jobs.describe(job_id)["status"] == "RUNNING"
    jobs.batch.terminate_job(jobId=job_id, reason="seen")
    jobs.finish(job_id)


def test_more_memory_than_asked_for_is_an_out_of_memory_error(jobs: Jobs) -> None:
    hog = "import time; hog = bytearray(400 * 2**20); time.sleep(60)"
    job = jobs.run("hog", ["python3", "-c", hog])
    assert job["status"] == "FAILED"
    assert job["container"]["exitCode"] == 137
    assert job["container"]["reason"].startswith("OutOfMemoryError: Container killed due to memory")


def test_what_cannot_start_says_why(jobs: Jobs) -> None:
    jobs.register("missing-image", image="registry.invalid/team/image:1")
    no_image = jobs.run("no-image", ["true"], jobDefinition="missing-image")
    no_program = jobs.run("no-program", ["/nonexistent"])
    assert no_image["statusReason"] == no_program["statusReason"] == "Task failed to start"
    assert no_image["container"]["reason"].startswith("CannotPullContainerError: ")
    assert no_program["container"]["reason"].startswith("CannotStartContainerError: ")
    assert "exitCode" not in no_program["container"]


def test_an_image_may_bring_an_environment(jobs: Jobs) -> None:
    jobs.register("kit", image="tools:1")
    assert jobs.lines(jobs.run("kit", "echo $KIT ${PATH%%:*}", jobDefinition="kit")) == [
        "1 /nowhere"
    ]


def test_processes_left_behind_end_with_the_attempt(jobs: Jobs) -> None:
    leave = "setsid sh -c 'echo $$; touch up; sleep 300' & while ! [ -e up ]; do sleep 0.01; done"
    job = jobs.run("leaves", leave)
    assert job["status"] == "SUCCEEDED"
    (pid,) = jobs.lines(job)
    assert not alive(int(pid))


def test_an_array_fails_with_any_child_and_keeps_the_others(jobs: Jobs) -> None:
    job_id = jobs.submit(
        "array",
        "echo $AWS_BATCH_JOB_ARRAY_INDEX/$AWS_BATCH_JOB_ARRAY_SIZE $AWS_BATCH_JOB_ID;"
        "[ $AWS_BATCH_JOB_ARRAY_INDEX != 3 ]",
        arrayProperties={"size": 6},
    )
    parent = jobs.finish(job_id)
    assert (parent["status"], parent["statusReason"]) == ("FAILED", "Array Child Job failed")
    summary = parent["arrayProperties"]["statusSummary"]
    assert (summary["SUCCEEDED"], summary["FAILED"]) == (5, 1)
    failed = jobs.batch.list_jobs(arrayJobId=job_id, jobStatus="FAILED")["jobSummaryList"]
    assert [job["arrayProperties"]["index"] for job in failed] == [3]
    assert jobs.lines(jobs.describe(f"{job_id}:5")) == [f"5/6 {job_id}:5"]


def test_an_array_parent_is_pending_while_children_run(jobs: Jobs) -> None:
    job_id = jobs.submit("waits", "sleep 60", arrayProperties={"size": 2})
    jobs.reach(job_id, "PENDING")  # there are children from now on
    jobs.reach(f"{job_id}:1", "RUNNING")
    assert jobs.describe(job_id)["status"] == "PENDING"
    jobs.batch.terminate_job(jobId=job_id, reason="stop all")
    parent = jobs.finish(job_id)
    assert (parent["status"], parent["statusReason"]) == ("FAILED", "stop all")
    assert parent["arrayProperties"]["statusSummary"]["FAILED"] == 2


def test_a_job_waits_for_those_it_depends_on(jobs: Jobs) -> None:
    first = jobs.submit("first", "sleep 0.3")
    second = jobs.submit("second", "true", dependsOn=[{"jobId": first}])
    assert jobs.finish(second)["status"] == "SUCCEEDED"
    assert jobs.describe(second)["startedAt"] >= jobs.describe(first)["stoppedAt"]


def test_tags_of_the_request_are_on_the_job_and_its_children(jobs: Jobs) -> None:
    job_id = jobs.submit("tagged", "true", tags={"run": "7"}, arrayProperties={"size": 2})
    jobs.finish(job_id)
    assert jobs.describe(job_id)["tags"] == {"run": "7"}
    assert jobs.describe(f"{job_id}:0")["tags"] == {"run": "7"}
