from __future__ import annotations

from dataclasses import replace

import pytest

from flowsdk.aws_batch.definition import BatchDefaults, job_definition
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError
from tests.flowsdk.aws_batch.fakes import check_request

PLAIN = StepSettings()
EVERYTHING = StepSettings(
    image="own:1",
    job_role="arn:job",
    execution_role="arn:start",
    shared_memory_mib=64,
    max_swap_mib=128,
    swappiness=0,
    tmpfs_size_mib=256,
    log_driver="awslogs",
    log_options={"awslogs-group": "mine"},
    privileged=True,
    host_volumes=("/data", "/raw:/mnt/raw"),
    efs_volumes=("fs-1", "fs-2:/shared"),
    ephemeral_storage_gib=30,
    neuron=2,
    efa=1,
)


@pytest.mark.parametrize("platform", ["EC2", "FARGATE"])
@pytest.mark.parametrize("settings", [PLAIN, EVERYTHING])
def test_aws_knows_everything_in_it(
    settings: StepSettings, platform: str, defaults: BatchDefaults
) -> None:
    check_request("RegisterJobDefinition", job_definition("s", settings, defaults, platform))  # type: ignore[arg-type]


def test_what_is_asked_for_arrives(defaults: BatchDefaults) -> None:
    container = job_definition("s", EVERYTHING, defaults)["containerProperties"]
    assert container["image"] == "own:1"
    assert container["jobRoleArn"] == "arn:job"
    assert container["executionRoleArn"] == "arn:start"
    assert container["privileged"] is True
    assert container["linuxParameters"] == {
        "sharedMemorySize": 64,
        "maxSwap": 128,
        "swappiness": 0,
        "tmpfs": [{"containerPath": "/flowsdk_temp", "size": 256}],
        "devices": [
            {"hostPath": path, "containerPath": path, "permissions": ["READ", "WRITE"]}
            for path in ("/dev/neuron0", "/dev/neuron1", "/dev/infiniband/uverbs0")
        ],
    }
    assert container["logConfiguration"] == {
        "logDriver": "awslogs",
        "options": {"awslogs-group": "mine"},
    }
    assert [mount["containerPath"] for mount in container["mountPoints"]] == [
        "/data",
        "/mnt/raw",
        "/mnt/fs-1",
        "/shared",
    ]
    names = [volume["name"] for volume in container["volumes"]]
    assert names == [mount["sourceVolume"] for mount in container["mountPoints"]]
    assert container["volumes"][1]["host"] == {"sourcePath": "/raw"}
    assert container["volumes"][3]["efsVolumeConfiguration"]["fileSystemId"] == "fs-2"


@pytest.mark.parametrize(
    "changed",
    [
        {"cpu": 8},
        {"memory_mib": 999},
        {"gpu": 1},
        {"queue": "other"},
        {"timeout_seconds": 60},
        {"environment": {"A": "1"}},
        {"tags": {"team": "x"}},
        {"retry_times": 3},
    ],
)
def test_what_a_job_can_override_makes_no_new_definition(
    changed: dict[str, object], defaults: BatchDefaults
) -> None:
    other = replace(PLAIN, **changed)  # type: ignore[arg-type]
    assert job_definition("a", PLAIN, defaults) == job_definition("b", other, defaults)


@pytest.mark.parametrize(
    "changed",
    [
        {"image": "other"},
        {"job_role": "r"},
        {"execution_role": "r"},
        {"privileged": True},
        {"host_volumes": ("/data",)},
        {"log_options": {"a": "b"}},
        {"shared_memory_mib": 1},
        {"swappiness": 0},
    ],
)
def test_what_it_cannot_override_does(changed: dict[str, object], defaults: BatchDefaults) -> None:
    other = replace(PLAIN, **changed)  # type: ignore[arg-type]
    name = job_definition("s", PLAIN, defaults)["jobDefinitionName"]
    assert job_definition("s", other, defaults)["jobDefinitionName"] != name


def test_without_an_image_there_is_nothing_to_run() -> None:
    with pytest.raises(BatchError, match="Container image \\(step 'train'\\): found none"):
        job_definition("train", PLAIN, BatchDefaults(queue="q"))


@pytest.mark.parametrize("text", ["/a:b", ":/b", "/a:", "a:/b:c"])
def test_a_malformed_volume_is_named(text: str, defaults: BatchDefaults) -> None:
    with pytest.raises(BatchError, match=r"host_volumes=.*step 's'.*expected"):
        job_definition("s", StepSettings(host_volumes=(text,)), defaults)
