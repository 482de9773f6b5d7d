"""``@project``."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from flowsdk.decorators.base import FlowDecorator
from flowsdk.exception import DecoratorError, UsageError
from flowsdk.identity import user_name

_NAME = re.compile(r"[a-z0-9_]{1,128}")
_RULE = "lower case letters, digits and '_', at most 128"
#: Those that win come last.
_VARIABLES = ("METAFLOW_BRANCH", "FLOWSDK_BRANCH", "METAFLOW_PRODUCTION", "FLOWSDK_PRODUCTION")
_OFF = ("0", "false", "f", "no", "n", "off")
_PROJECT_TAG, _BRANCH_TAG = "project:", "project_branch:"


@dataclass(frozen=True)
class ProjectSettings:
    """Where a flow stands among the others of its project.

    Attributes:
        name: Of the project.
        branch: ``user.<name>``, ``test.<branch>``, ``prod`` or ``prod.<branch>``.
    """

    name: str
    branch: str

    @property
    def tags(self) -> tuple[str, ...]:
        """The system tags of its runs."""
        return f"{_PROJECT_TAG}{self.name}", f"{_BRANCH_TAG}{self.branch}"

    def flow_name(self, flow: str) -> str:
        """What a flow of the project is called where it is deployed."""
        return f"{self.name}.{self.branch}.{flow}"

    def facts(self, flow: str) -> dict[str, Any]:
        """What ``current`` tells of it."""
        return {
            "project_name": self.name,
            "branch_name": self.branch,
            "is_user_branch": self.branch.startswith("user."),
            "is_production": self.branch.partition(".")[0] == "prod",
            "project_flow_name": self.flow_name(flow),
        }

    @classmethod
    def of_tags(cls, tags: Iterable[str]) -> ProjectSettings | None:
        """What the system tags of a run say; None if it is in no project."""
        found = {
            prefix: tag.removeprefix(prefix)
            for tag in tags
            for prefix in (_PROJECT_TAG, _BRANCH_TAG)
            if tag.startswith(prefix)
        }
        return cls(found[_PROJECT_TAG], found[_BRANCH_TAG]) if len(found) == 2 else None


class Project(FlowDecorator):
    """Put a flow into a project: flows of one branch of it know each other, and no others.

    A deployed flow is called ``<project>.<branch>.<flow>``. The branch is that of whoever runs or
    deploys the flow, ``user.<name>``, unless ``--branch`` or ``--production`` say otherwise.

    Args:
        name: Of the project: lower case letters, digits and ``_``.
        branch: As ``--branch``, where that is not given: ``test.<branch>``, with ``production``
            ``prod.<branch>``.
        production: As ``--production``, where neither option is given. Default False.
    """

    name = "project"
    defaults: ClassVar[Mapping[str, Any]] = {"name": None, "branch": None, "production": False}

    def check(self) -> None:
        """There must be a name; names must have characters that can stand anywhere."""
        a = self.attributes
        if not a["name"]:
            raise self.error("found no name, expected @project(name='some_name').")
        for key in ("name", "branch"):
            value = a[key]
            if value is not None and not (isinstance(value, str) and _NAME.fullmatch(value)):
                raise self.error(f"{key}={value!r}, expected {_RULE}.")
        if not isinstance(a["production"], bool):
            raise self.error(f"production={a['production']!r}, expected True or False.")

    def settings(self, otherwise: str, branch: str | None, production: bool) -> ProjectSettings:
        """The project and branch.

        Args:
            otherwise: The branch where nobody names one, with its ``user.`` or the like.
            branch: Of ``--branch``.
            production: Whether there is ``--production``.

        Raises:
            UsageError: ``branch`` is not a name.
        """
        if branch is not None and not _NAME.fullmatch(branch):
            raise UsageError(f"--branch: found {branch!r}, expected {_RULE}.")
        if branch is None and not production:
            branch, production = self.attributes["branch"], self.attributes["production"]
        if branch is None:
            full = "prod" if production else otherwise
        else:
            full = f"{'prod' if production else 'test'}.{branch}"
        return ProjectSettings(self.attributes["name"], full)


def project_of(
    flow: type,
    branch: str | None = None,
    production: bool = False,
    otherwise: str | None = None,
) -> ProjectSettings | None:
    """The project and branch of a flow; None if it is in no project.

    Args:
        flow: The flow class.
        branch: Of ``--branch``.
        production: Whether there is ``--production``.
        otherwise: The branch where nobody names one; by default that of the user.

    Raises:
        UsageError: The branch is not a name, or given for a flow without ``@project``.
    """
    found = _decorator(flow)
    if found is None:
        if branch is not None or production:
            raise UsageError(
                f"--branch and --production: flow {flow.__name__} has no @project, which they need."
            )
        return None
    return found.settings(otherwise or f"user.{user_name()}", branch, production)


def full_name(flow: type, branch: str | None = None, production: bool = False) -> str:
    """What a flow is called where it is deployed; its own name if it is in no project.

    Args:
        flow: The flow class.
        branch: As of :func:`project_of`.
        production: As of :func:`project_of`.
    """
    if not _is_in_project(flow):
        return flow.__name__
    found = project_of(flow, branch, production)
    return found.flow_name(flow.__name__) if found else flow.__name__


def add_project_options(parser: argparse.ArgumentParser, flow: type) -> None:
    """``--branch`` and ``--production``, if the flow has ``@project``; they come before the command."""
    env = {key.split("_", 1)[1]: os.environ[key] for key in _VARIABLES if os.environ.get(key)}
    if not _is_in_project(flow):
        return
    group = parser.add_argument_group("project of the flow")
    group.add_argument("--branch", metavar="NAME", default=env.get("BRANCH"),
                       help="the branch of the project (default: FLOWSDK_BRANCH, or the user's "
                       "own)")  # fmt: skip
    group.add_argument("--production", action="store_true",
                       default=env.get("PRODUCTION", "no").lower() not in _OFF,
                       help="the production branch (default: FLOWSDK_PRODUCTION)")  # fmt: skip


def given_branch(args: argparse.Namespace) -> tuple[str | None, bool]:
    """``--branch`` and ``--production`` of a command line, which only flows in a project have."""
    return getattr(args, "branch", None), getattr(args, "production", False)


def _is_in_project(flow: type) -> bool:
    """Whether a flow has ``@project`` as written: what it comes to be may depend on the options."""
    written = (one for base in flow.__mro__ for one in vars(base).get("_flow_own_decorators", ()))
    return any(isinstance(one, Project) for one in written)


def _decorator(flow: type) -> Project | None:
    from flowsdk.decorators.prepare import flow_decorators

    found = [one for one in flow_decorators(flow, "project") if isinstance(one, Project)]
    if len(found) > 1:
        raise DecoratorError(f"@project: found twice on flow {flow.__name__}. Remove one.")
    return found[0] if found else None


project = Project.decorate
