"""The project and branch in which a flow is deployed here."""

from __future__ import annotations

import re
from dataclasses import replace

from airflow_flowprovider.config import SECTION, ProviderConfig
from flowsdk.decorators.project import ProjectSettings, project_of
from flowsdk.deployment import deployment_of
from flowsdk.exception import UsageError

_BRANCH = re.compile(r"prod|(prod|test|user)\.[A-Za-z0-9_-]+")


def deployed_name(flow: type, config: ProviderConfig | None = None) -> str:
    """What a flow is called here: the id of its DAG, and the name under which its runs are stored.

    Args:
        flow: The flow class.
        config: The provider's settings; read if left out.

    Raises:
        UsageError: As :func:`deployed_project`.
    """
    project = deployed_project(flow, config)
    return project.flow_name(flow.__name__) if project else flow.__name__


def deployed_project(flow: type, config: ProviderConfig | None = None) -> ProjectSettings | None:
    """The project and branch of a flow; None if it is in no project.

    Whoever has deployed the flow by ``airflow create`` has said the branch; otherwise its ``@project``
    says it, and where that does not, ``[flowprovider] project_branch``.

    Args:
        flow: The flow class.
        config: The provider's settings; read if left out.

    Raises:
        UsageError: The option is no branch.
    """
    branch = (config or ProviderConfig.load()).project_branch
    found = project_of(flow, otherwise=branch)
    if found is not None and (deployed := deployment_of(flow).branch):
        return replace(found, branch=deployed)
    if found is not None and not _BRANCH.fullmatch(branch or ""):
        raise UsageError(
            f"[{SECTION}] project_branch: found {branch!r}, expected prod, prod.<name>, test.<name> "
            f"or user.<name>."
        )
    return found
