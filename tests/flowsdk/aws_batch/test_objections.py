from __future__ import annotations

from dataclasses import replace

import pytest

from flowsdk import FlowSpec, batch, parallel, resources, step
from flowsdk.aws_batch.definition import BatchDefaults
from flowsdk.aws_batch.objections import job_problems, objections, refuse
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError
from flowsdk.flow import graph_of

DEFAULTS = BatchDefaults(
    queue="q",
    image="python:3",
    gpu_queues={"A10G": "q-a10g", "H100": "q-h100"},
    fargate_queues=("q-fargate",),
)
FARGATE = StepSettings(queue="q-fargate", execution_role="arn:role", cpu=1, memory_mib=4096)


def texts(settings: StepSettings, defaults: BatchDefaults | None = DEFAULTS) -> list[str]:
    return [objection.text for objection in objections(settings, defaults)]


@pytest.mark.parametrize(
    "settings",
    [
        StepSettings(),
        StepSettings(cpu=0.3, privileged=True, shared_memory_mib=1),
        StepSettings(gpu=1, gpu_type="A10G"),
        StepSettings(gpu=1, gpu_type="unheard of", queue="own"),
        FARGATE,
        replace(FARGATE, log_driver="awslogs", efs_volumes=("fs-1",), ephemeral_storage_gib=50),
        StepSettings(
            container_properties={
                "secrets": [{"name": "KEY", "valueFrom": "arn:aws:secretsmanager:x"}],
                "runtimePlatform": {"cpuArchitecture": "ARM64"},
                "fargatePlatformConfiguration": {"platformVersion": "1.4.0"},
                "logConfiguration": {"options": {"awslogs-group": "mine"}},
            },
            log_driver="awslogs",
        ),
    ],
)
def test_there_are_none_to_what_can_be_had(settings: StepSettings) -> None:
    assert texts(settings) == []


def test_everything_that_aws_does_not_know_is_named() -> None:
    given = {
        "ulimit": [],
        "user": 7,
        "linuxParameters": {"maxSwapp": 1, "tmpfs": [{"containerPath": "/x"}]},
    }
    found = texts(StepSettings(container_properties=given))
    assert len(found) == 4
    known = "expected a name that AWS Batch knows. Did you mean"
    assert f"container_properties: found 'ulimit', {known} 'ulimits'?" in found
    assert any(f"found 'maxSwapp' in linuxParameters, {known} 'maxSwap'" in text for text in found)
    assert any("Invalid type for parameter user, value: 7" in text for text in found)
    assert any('linuxParameters.tmpfs[0]: "size"' in text for text in found)


def test_what_comes_near_nothing_gets_all_names() -> None:
    (text,) = texts(StepSettings(container_properties={"colour": "red"}))
    assert text.startswith("container_properties: found 'colour', expected one of image, ")


def test_what_arguments_say_is_said_there() -> None:
    given = {"image": "x", "command": ["ls"], "memory": 4}
    assert texts(StepSettings(container_properties=given)) == [
        "container_properties has 'command', expected what no argument says: it is what runs the "
        "step.",
        "container_properties has 'image', expected what no argument says: use @batch(image=…).",
        "container_properties has 'memory', expected what no argument says: use "
        "@resources(memory=…).",
    ]


def test_a_gpu_of_an_unknown_type() -> None:
    (text,) = texts(StepSettings(gpu=1, gpu_type="a10"))
    assert "expected one of the types that have a job queue: A10G, H100." in text
    assert "Did you mean 'A10G'?" in text
    (text,) = texts(StepSettings(gpu=1, gpu_type="A10G"), BatchDefaults())
    assert "none has" in text
    assert texts(StepSettings(gpu=1, gpu_type="A10G"), None) == [], "what is configured is unknown"


def test_a_type_without_a_number_of_gpus() -> None:
    (text,) = texts(StepSettings(gpu_type="A10G"), None)
    assert text.startswith("found gpu_type='A10G' without gpu, expected a number")


def test_fargate_is_told_from_the_queue() -> None:
    settings = StepSettings(
        queue="q-fargate",
        cpu=3,
        memory_mib=100,
        gpu=1,
        gang=True,
        privileged=True,
        host_volumes=("/data",),
        container_properties={"ulimits": [{"name": "core", "hardLimit": 0, "softLimit": 0}]},
    )
    found = texts(settings)
    assert [text.partition(",")[0] for text in found] == [
        "found cpu=3 and memory=100",
        "found a gang",
        "found gpu=1",
        "found privileged",
        "found ulimits",
        "found volumes.host",
        "found no execution_role",
    ]
    assert all("'q-fargate'" in text for text in found[1:-1])
    assert texts(replace(settings, queue="q")) == []


def test_all_are_raised_at_once() -> None:
    settings = replace(FARGATE, gpu=1, memory_mib=5000)
    with pytest.raises(BatchError) as raised:
        refuse("train", settings, DEFAULTS)
    lines = str(raised.value).splitlines()
    assert len(lines) == 2
    assert all(line.startswith("@resources (step 'train'): found ") for line in lines)
    refuse("train", settings, DEFAULTS, "EC2")


class Demanding(FlowSpec):
    @resources(gpu_type="A10G")
    @batch(container_properties={"usr": "nobody"})
    @step
    def start(self):
        self.next(self.end)

    @batch(gpu=1, queue="q-fargate", execution_role="r")
    @step
    def end(self): ...


def test_problems_are_at_the_decorators_that_ask() -> None:
    graph = graph_of(Demanding)
    found = list(job_problems(Demanding, graph, DEFAULTS))
    places = {d.name: d.location for d in Demanding.start.decorators}
    (of_batch,) = (d.location for d in Demanding.end.decorators)
    assert [f"{problem.file}:{problem.line}" for problem in found] == [
        places["resources"],
        places["batch"],
        of_batch,
    ]
    assert [problem.step for problem in found] == ["start", "start", "end"]
    assert "@batch (step 'start'): container_properties: found 'usr', expected" in str(found[1])


class GangOnFargate(FlowSpec):
    @step
    def start(self):
        self.next(self.train, num_parallel=2)

    @batch(queue="q-fargate", execution_role="r")
    @parallel
    @step
    def train(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self): ...


def test_a_gang_is_refused_where_there_are_no_multi_node_jobs() -> None:
    (problem,) = job_problems(GangOnFargate, graph_of(GangOnFargate), DEFAULTS)
    places = {d.name: d.location for d in GangOnFargate.train.decorators}
    assert f"{problem.file}:{problem.line}" == places["parallel"]
    assert "@parallel (step 'train'): found a gang, which is a multi-node job" in str(problem)
    assert "queue 'q-fargate' runs on it" in str(problem)
