"""What was said about a flow when it was deployed, and its file does not say.

A flow that is deployed from a command line may have been given Configs and a branch of its project
there. Both decide what its DAG is, so they travel with the flow's file, in a file beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath

from flowsdk.document import Document
from flowsdk.places import script_of
from flowsdk.registry import is_deployed


@dataclass(frozen=True)
class Deployment(Document):
    """As the command line had it that deployed a flow.

    Attributes:
        configs: Value of every Config as JSON text, as a RunSpec has them; empty if none was given:
            then each is what its default says where the flow is deployed.
        branch: Of its project, as in ``ProjectSettings``; None if it is in none.
    """

    configs: Mapping[str, str] = field(default_factory=dict)
    branch: str | None = None

    def __bool__(self) -> bool:
        return self != Deployment()


def name_beside(script: PurePath, flow: str) -> str:
    """What the file is called that holds the :class:`Deployment` of a flow beside the flow's file."""
    return f"{script.stem}.{flow}.json"


def deployment_of(flow: type) -> Deployment:
    """What lies beside the file of a flow that is deployed here; the empty one if there is nothing.

    It is read once for each class, so that all of one parse is made of the same.

    Raises:
        UnreadableDocument: The file there is not one of flowsdk's.
    """
    if not is_deployed(flow):  # who runs the flow here says for himself what it is given
        return Deployment()
    found: Deployment | None = flow.__dict__.get("_flow_deployment")
    if found is None:
        script = script_of(flow)
        path = script.with_name(name_beside(script, flow.__name__))
        found = Deployment()
        if path.is_file():
            found = Deployment.from_json(path.read_bytes(), str(path))
        type.__setattr__(flow, "_flow_deployment", found)
    return found
