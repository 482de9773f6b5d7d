from __future__ import annotations

from dataclasses import replace

import pytest

from flowsdk.aws_batch.definition import BatchDefaults, job_definition, read_gpu_queues
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError, UsageError
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
        {"container_properties": {"user": "nobody"}},
    ],
)
def test_what_it_cannot_override_does(changed: dict[str, object], defaults: BatchDefaults) -> None:
    other = replace(PLAIN, **changed)  # type: ignore[arg-type]
    name = job_definition("s", PLAIN, defaults)["jobDefinitionName"]
    assert job_definition("s", other, defaults)["jobDefinitionName"] != name


def test_without_an_image_there_is_nothing_to_run() -> None:
    with pytest.raises(BatchError, match="Container image \\(step 'train'\\): found none"):
        job_definition("train", PLAIN, BatchDefaults(queue="q"))


def test_what_the_author_says_himself_is_merged(defaults: BatchDefaults) -> None:
    limits = [{"name": "nofile", "softLimit": 4096, "hardLimit": 4096}]
    given = {
        "ulimits": limits,
        "linuxParameters": {"initProcessEnabled": True, "tmpfs": [{"containerPath": "/x", "size": 1}]},
        "repositoryCredentials": {"credentialsParameter": "arn:secret"},
    }  # fmt: skip
    settings = replace(EVERYTHING, container_properties=given)
    definition = job_definition("s", settings, defaults)
    check_request("RegisterJobDefinition", definition)
    container = definition["containerProperties"]
    assert container["ulimits"] == limits
    assert container["linuxParameters"]["initProcessEnabled"] is True
    assert container["linuxParameters"]["sharedMemorySize"] == 64, "dicts are merged"
    assert container["linuxParameters"]["tmpfs"] == [{"containerPath": "/x", "size": 1}], (
        "lists not"
    )
    assert container["repositoryCredentials"] == {"credentialsParameter": "arn:secret"}


def test_an_access_point_of_efs_takes_the_place_of_a_volume(defaults: BatchDefaults) -> None:
    point = {
        "fileSystemId": "fs-1",
        "transitEncryption": "ENABLED",
        "authorizationConfig": {"accessPointId": "fsap-1", "iam": "ENABLED"},
    }
    given = {"volumes": [{"name": "volume-0", "efsVolumeConfiguration": point}]}
    settings = StepSettings(efs_volumes=("fs-1:/shared",), container_properties=given)
    container = job_definition("s", settings, defaults)["containerProperties"]
    assert container["volumes"] == given["volumes"]
    assert container["mountPoints"][0]["containerPath"] == "/shared"


@pytest.mark.parametrize(
    ("settings", "queue"),
    [
        (StepSettings(), "q"),
        (StepSettings(queue="own"), "own"),
        (StepSettings(gpu=1, gpu_type="A10G"), "q-a10g"),
        (StepSettings(gpu=1, gpu_type="A10G", queue="own"), "own"),
        (StepSettings(gpu=1, gpu_type="T4"), None),
    ],
)
def test_a_gpu_type_is_had_through_the_queue(settings: StepSettings, queue: str | None) -> None:
    assert BatchDefaults(queue="q", gpu_queues={"A10G": "q-a10g"}).queue_of(settings) == queue


@pytest.mark.parametrize("text", ["[]", "A10G", '{"A10G": 1}', '{"A10G": ""}'])
def test_a_map_of_gpu_queues_is_json(text: str) -> None:
    with pytest.raises(UsageError, match=r"GPU queues \(here\): found .* expected JSON"):
        read_gpu_queues(text, "here")
    assert read_gpu_queues(None, "here") == {}
    assert read_gpu_queues('{"A10G": "q"}', "here") == {"A10G": "q"}
