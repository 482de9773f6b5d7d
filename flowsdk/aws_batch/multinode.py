"""Gangs as multi-node parallel jobs: what is different from a job of one container.

All nodes are alike: one range of nodes, whose number SubmitJob gives, so that gangs of all sizes share a
job definition. A node knows by its index which of the tasks is its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowsdk.aws_batch.definition import named
from flowsdk.runtime.gang import START_SECONDS

#: What SubmitJob overrides must be a range of the definition, by its very name.
_ALL_NODES = "0:"
#: Only to register the definition.
_PLACEHOLDER_NODES = 2


def multinode_definition(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The definition for a gang.

    Args:
        definition: That of one task, of :func:`flowsdk.aws_batch.definition.job_definition`.
    """
    content = dict(definition)
    del content["jobDefinitionName"]
    container = content.pop("containerProperties")
    nodes = {
        "numNodes": _PLACEHOLDER_NODES,
        "mainNode": 0,
        # Which instance type it is to be is the queue's business, as for all other jobs.
        "nodeRangeProperties": [{"targetNodes": _ALL_NODES, "container": container}],
    }
    return named({**content, "type": "multinode", "nodeProperties": nodes})


def multinode_submission(request: Mapping[str, Any], definition: str, nodes: int) -> dict[str, Any]:
    """The SubmitJob request for a gang.

    Args:
        request: That for one of its tasks, of :func:`flowsdk.aws_batch.submission.submission`.
        definition: Name of the job definition.
        nodes: How many tasks there are.
    """
    content = {**request, "jobDefinition": definition}
    content.pop("arrayProperties", None)
    overrides = content.pop("containerOverrides")
    content["nodeOverrides"] = {
        "numNodes": nodes,
        "nodePropertyOverrides": [{"targetNodes": _ALL_NODES, "containerOverrides": overrides}],
    }
    # Once the main node runs others may have results, and a gang runs as a whole or not at all: what
    # is lost then is for a new attempt. Batch itself may try again what has not started.
    strategy = request["retryStrategy"]
    conditions = [c for c in strategy["evaluateOnExit"] if "onStatusReason" not in c]
    content["retryStrategy"] = {**strategy, "evaluateOnExit": conditions}
    if "timeout" in request:
        # The time is that of the job, and the other nodes begin after the main node.
        seconds = request["timeout"]["attemptDurationSeconds"] + int(START_SECONDS)
        content["timeout"] = {"attemptDurationSeconds": seconds}
    return content
