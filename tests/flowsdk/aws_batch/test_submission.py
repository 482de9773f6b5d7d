from __future__ import annotations

import json
from dataclasses import replace

import pytest

from flowsdk.aws_batch.definition import BatchDefaults
from flowsdk.aws_batch.submission import submission
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError
from flowsdk.runtime import loader
from flowsdk.spec import TaskRef, TaskSpec
from tests.flowsdk.aws_batch.fakes import check_request


def request(spec: TaskSpec, settings: StepSettings, defaults: BatchDefaults, **more: str) -> dict:  # type: ignore[type-arg]
    made = submission("name", "definition", spec, "s3://b/spec.json", settings, defaults, **more)  # type: ignore[arg-type]
    check_request("SubmitJob", made)
    return made


def test_the_container_learns_where_its_spec_lies_and_nothing_else(
    spec: TaskSpec, defaults: BatchDefaults
) -> None:
    wide = replace(
        spec,
        parents=tuple(TaskRef("body", str(n), 0) for n in range(10_000)),
        environment={"BIG": "x" * 30_000},
    )
    overrides = request(wide, StepSettings(environment={"BIG": "y"}), defaults)[
        "containerOverrides"
    ]
    assert overrides["command"] == ["python3", "-c", loader.source(), "s3://b/spec.json"]
    assert {e["name"] for e in overrides["environment"]} == {"PYTHONHASHSEED", "PYTHONUNBUFFERED"}
    assert len(json.dumps(overrides)) < 8192


@pytest.mark.parametrize(
    ("cpu", "platform", "vcpus"), [(1, "EC2", "1"), (0.5, "EC2", "1"), (2.5, "EC2", "3"), (0.25, "FARGATE", "0.25"), (4.0, "FARGATE", "4")]
)  # fmt: skip
def test_vcpus_are_whole_on_ec2(
    cpu: float, platform: str, vcpus: str, spec: TaskSpec, defaults: BatchDefaults
) -> None:
    settings = StepSettings(cpu=cpu, memory_mib=2048)
    made = request(spec, settings, defaults, platform=platform)
    assert made["containerOverrides"]["resourceRequirements"] == [
        {"type": "VCPU", "value": vcpus},
        {"type": "MEMORY", "value": "2048"},
    ]


@pytest.mark.parametrize(
    ("settings", "temporary"),
    [
        (StepSettings(tmpfs_size_mib=64, tmpfs_path="/ram"), "/ram"),
        (StepSettings(tmpfs_size_mib=64, tmpfs_tempdir=False), None),
        (StepSettings(), None),
    ],
)
def test_temporary_files_go_to_the_ram_disk_if_there_is_one(
    settings: StepSettings, temporary: str | None, spec: TaskSpec, defaults: BatchDefaults
) -> None:
    overrides = request(spec, settings, defaults)["containerOverrides"]
    environment = {entry["name"]: entry["value"] for entry in overrides["environment"]}
    assert environment.get("TMPDIR") == temporary


def test_the_python_of_the_container_can_be_named(spec: TaskSpec, defaults: BatchDefaults) -> None:
    overrides = request(spec, StepSettings(executable="/opt/py/bin/python"), defaults)
    assert overrides["containerOverrides"]["command"][0] == "/opt/py/bin/python"


def test_gpus(spec: TaskSpec, defaults: BatchDefaults) -> None:
    made = request(spec, StepSettings(gpu=2), defaults)
    assert {"type": "GPU", "value": "2"} in made["containerOverrides"]["resourceRequirements"]


@pytest.mark.parametrize(("timeout", "batch"), [(None, None), (1, 60), (40, 70), (3600, 3630)])
def test_batch_gives_the_runtime_time_to_say_that_time_is_up(
    timeout: int | None, batch: int | None, spec: TaskSpec, defaults: BatchDefaults
) -> None:
    made = request(spec, StepSettings(timeout_seconds=timeout), defaults)
    assert made.get("timeout") == (batch and {"attemptDurationSeconds": batch})


def test_a_step_may_have_a_queue_of_its_own(spec: TaskSpec, defaults: BatchDefaults) -> None:
    assert request(spec, StepSettings(queue="gpu"), defaults)["jobQueue"] == "gpu"
    assert request(spec, StepSettings(), defaults)["jobQueue"] == "q"
    with pytest.raises(BatchError, match="Job queue \\(step 'train'\\): found none"):
        request(spec, StepSettings(), BatchDefaults())


def test_tags_are_what_aws_allows(spec: TaskSpec, defaults: BatchDefaults) -> None:
    spec = replace(spec, run="manual__2026-11-21T09:00:00+00:00", user="ada;drop" + "x" * 300)
    settings = StepSettings(tags={"team": "ops", "flow": "not mine to say"})
    tags = request(spec, settings, defaults)["tags"]
    assert set(tags) == {"team", "flow", "run", "step", "task", "user"}
    assert tags["run"] == spec.run
    assert tags["user"].startswith("ada_drop")
    assert len(tags["user"]) == 256
    assert tags["team"] == "ops"
    assert tags["flow"] == "MyFlow"


def test_a_job_of_a_project_says_so(spec: TaskSpec, defaults: BatchDefaults) -> None:
    facts = {"project_name": "digits", "branch_name": "test.night"}
    tags = request(replace(spec, facts=facts), StepSettings(), defaults)["tags"]
    assert (tags["project"], tags["branch"]) == ("digits", "test.night")


def test_a_share_of_the_queue_is_asked_for_where_the_step_says_so(
    spec: TaskSpec, defaults: BatchDefaults
) -> None:
    made = request(spec, StepSettings(share_identifier="red", scheduling_priority=0), defaults)
    assert (made["shareIdentifier"], made["schedulingPriorityOverride"]) == ("red", 0)
    plain = request(spec, StepSettings(), defaults)
    assert not {"shareIdentifier", "schedulingPriorityOverride"} & set(plain)


@pytest.mark.parametrize(
    ("ooms", "platform", "amounts"),
    [
        (0, "EC2", ("1", "5000")),
        (1, "EC2", ("1", "7500")),
        (3, "EC2", ("1", "16875")),
        (0, "FARGATE", ("1", "5000")),
        (1, "FARGATE", ("1", "8192")),
        (2, "FARGATE", ("2", "11264")),
        (30, "FARGATE", ("32", "249856")),
    ],
)
def test_memory_grows_with_each_time_that_it_ran_out(
    ooms: int, platform: str, amounts: tuple[str, str], spec: TaskSpec, defaults: BatchDefaults
) -> None:
    settings = StepSettings(memory_mib=5000, oom_factor=1.5, ooms=ooms)
    made = request(spec, settings, defaults, platform=platform)
    found = {r["type"]: r["value"] for r in made["containerOverrides"]["resourceRequirements"]}
    assert (found["VCPU"], found["MEMORY"]) == amounts
