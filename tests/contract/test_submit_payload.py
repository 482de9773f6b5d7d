"""What AWS Batch is asked for: permissions, quotas and running jobs of users depend on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from flowsdk.aws_batch.definition import BatchDefaults, job_definition
from flowsdk.aws_batch.multinode import multinode_definition, multinode_submission
from flowsdk.aws_batch.names import job_name
from flowsdk.aws_batch.submission import submission
from flowsdk.decorators.settings import StepSettings
from flowsdk.runtime import loader
from tests.flowsdk.aws_batch.fakes import check_request
from tests.flowsdk.examples import SPEC

GOLDEN = Path(__file__).parent / "golden"
DEFAULTS = BatchDefaults(queue="flows", image="python:3", job_role="arn:aws:iam::1:role/job")
SETTINGS = StepSettings(
    cpu=2,
    memory_mib=8192,
    gpu=1,
    timeout_seconds=600,
    shared_memory_mib=256,
    efs_volumes=("fs-1:/shared",),
    tags={"team": "digits"},
)


def requests() -> dict[str, Any]:
    definition = job_definition(SPEC.step, SETTINGS, DEFAULTS)
    name = job_name(SPEC.flow, SPEC.run, SPEC.step, SPEC.task, SPEC.attempt)
    submit = submission(
        name, definition["jobDefinitionName"], SPEC, "s3://b/spec.json", SETTINGS, DEFAULTS
    )
    nodes = multinode_definition(definition)
    gang = multinode_submission(submit, nodes["jobDefinitionName"], 4)
    return {
        "RegisterJobDefinition": definition,
        "SubmitJob": submit,
        "RegisterJobDefinition-multinode": nodes,
        "SubmitJob-multinode": gang,
    }


@pytest.mark.parametrize("name", requests())
def test_requests_are_what_they_were(name: str) -> None:
    request = requests()[name]
    check_request(name.partition("-")[0], request)
    text = json.dumps(request, indent=2, sort_keys=True)
    # The loader is code, not contract.
    text = text.replace(json.dumps(loader.source()), '"<flowsdk.runtime.loader>"')
    assert text + "\n" == (GOLDEN / f"{name}.json").read_text()
