"""Starting a run on a laptop."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from flowsdk.configs import recorded_configs
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.base import StepDecorator
from flowsdk.decorators.prepare import decorator_modules
from flowsdk.decorators.project import full_name, project_of
from flowsdk.decorators.settings import StepSettings, step_settings
from flowsdk.exception import UsageError
from flowsdk.flow import FlowSpec, graph_of
from flowsdk.identity import user_name
from flowsdk.include_file import include_files
from flowsdk.lint import validate
from flowsdk.local.heartbeat import Heartbeat
from flowsdk.local.launchers import ForkLauncher, Launcher, OnLines
from flowsdk.local.scheduler import Listener, Scheduler
from flowsdk.origin import Origin
from flowsdk.runtime.task import utc_now
from flowsdk.spec import RunEnd, RunSpec, TaskResult, flow_class
from flowsdk.version import PYTHON_VERSION, VERSION

_RUN_ID = re.compile(r"\d{8}T\d{6}\.\d{6}-[0-9a-f]{4}")


@dataclass(frozen=True)
class RunOptions:
    """How a run is to be run.

    Attributes:
        root: URI of the datastore.
        decorators: Added to every step that has none of the kind (``--with``).
        max_workers: How many tasks may be out at once.
        max_num_splits: How many splits a foreach may have; None means no limit.
        tags: Given to the run.
        namespace: As in RunSpec.
        max_log_bytes: How much of what a task prints is kept, of tasks on this machine; None for
            everything.
        branch: Of the flow's ``@project``; None for the user's own.
        production: Whether it is the project's production branch.
    """

    root: str
    decorators: Sequence[StepDecorator] = ()
    max_workers: int = 16
    max_num_splits: int | None = None
    tags: tuple[str, ...] = ()
    namespace: str | None = None
    max_log_bytes: int | None = None
    branch: str | None = None
    production: bool = False


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        succeeded: Whether the end step did.
        failed: The results that ended the run, if it failed.
    """

    succeeded: bool
    failed: tuple[TaskResult, ...]


class LocalRun:
    """One run on a laptop: prepared by the constructor, run by :meth:`execute`.

    Args:
        flow: The flow class.
        parameters: Value of every parameter, resolved.
        options: How to run.
        on_lines: Called with what tasks print.
        origin: The run that this one resumes; see :mod:`flowsdk.local.resume`.

    Raises:
        FlowLintError: The flow has problems.
        UsageError: A step cannot run on AWS Batch as it is to.
    """

    def __init__(
        self,
        flow: type[FlowSpec],
        parameters: Mapping[str, Any],
        options: RunOptions,
        on_lines: OnLines,
        origin: Origin | None = None,
    ) -> None:
        self.flow = flow
        self.graph = graph_of(flow)
        validate(self.graph, [decorator.name for decorator in options.decorators])
        self.options = options
        self.origin = origin
        self.store = FlowDatastore.at(options.root, flow.__name__)
        self.settings: dict[str, StepSettings] = {
            node.name: step_settings(flow, node.name, options.decorators) for node in self.graph
        }
        on_batch = [name for name, settings in self.settings.items() if settings.on_batch]
        _check_batch(on_batch, options.root)
        project = project_of(flow, options.branch, options.production)
        script = Path(sys.modules[flow.__module__].__file__ or "").resolve()
        code = None
        if on_batch:
            from flowsdk import package  # nothing is packed for tasks on this machine

            modules = decorator_modules(flow, options.decorators)
            built = package.build(script, modules=modules)
            code, script = package.upload(self.store, built), Path(built.script)
        self.run = RunSpec(
            flow=flow.__name__,
            run=new_run_id(),
            parameters=parameters if origin else include_files(flow, parameters, self.store),
            code=code,
            script=str(script),
            user=user_name(),
            created_at=utc_now(),
            launcher="local",
            tags=options.tags,
            namespace=options.namespace,
            system_tags=(
                f"flowsdk_version:{VERSION}",
                f"python_version:{PYTHON_VERSION}",
                f"user:{user_name()}",
                "runtime:local",
                *(project.tags if project else ()),
            ),
            decorators=tuple(decorator.spec() for decorator in options.decorators),
            origin=origin.pathspec if origin else None,
            configs=recorded_configs(flow),
        )
        self._launchers = self._make_launchers(flow, on_lines)

    @property
    def metadata(self) -> str:
        """Where the client finds the run, as ``metadata()`` takes it."""
        root = self.store.storage.root
        return root if "://" in root else f"local@{root}"

    def execute(self, listener: Listener) -> RunOutcome:
        """Run all tasks."""
        self.store.write_run(self.run)
        heartbeat = Heartbeat(self.store, self.run.run)
        heartbeat.beat()

        def tick() -> None:
            heartbeat.beat()
            listener.tick()

        scheduler = Scheduler(
            self.graph,
            self.run,
            self.store,
            self.settings,
            self._launchers,
            replace(listener, tick=tick),
            self.options.max_workers,
            self.options.max_num_splits,
            self.origin,
        )
        succeeded = False
        try:
            succeeded = scheduler.execute()
        finally:
            status = RunEnd("succeeded" if succeeded else "failed", utc_now())
            self.store.write_run_end(self.run.run, status)
        return RunOutcome(succeeded, tuple(scheduler.failed))

    def _make_launchers(self, flow: type[FlowSpec], on_lines: OnLines) -> dict[str, Launcher]:
        forks = ForkLauncher(flow, self.store, on_lines, self.options.max_log_bytes)
        batch: Launcher | None = None
        chosen: dict[str, Launcher] = {}
        for name, settings in self.settings.items():
            if settings.on_batch:
                if batch is None:  # not its truth: a launcher without tasks is empty
                    batch = self._batch_launcher(on_lines)
                chosen[name] = batch
            else:
                chosen[name] = forks
        return chosen

    def _batch_launcher(self, on_lines: OnLines) -> Launcher:
        from flowsdk.aws_batch.launcher import BatchLauncher

        launcher = BatchLauncher(self.store, on_lines)
        launcher.check({name: s for name, s in self.settings.items() if s.on_batch})
        return launcher


def _check_batch(on_batch: Sequence[str], root: str) -> None:
    """What is to run on AWS Batch must be able to."""
    if on_batch and not root.startswith("s3://"):
        raise UsageError(
            f"Step{'s' * (len(on_batch) > 1)} {', '.join(on_batch)} run on AWS Batch, which "
            f"reads and writes S3, and the datastore is {root!r}. Pass --datastore-root "
            f"s3://bucket/prefix or set FLOWSDK_DATASTORE."
        )


def new_run_id() -> str:
    """A run id that sorts by time: UTC to the microsecond and a random suffix."""
    now = datetime.now(timezone.utc)
    return f"{now:%Y%m%dT%H%M%S}.{now.microsecond:06d}-{os.urandom(2).hex()}"


def is_laptop_run(run: str) -> bool:
    """Whether a run id is one of :func:`new_run_id`."""
    return _RUN_ID.fullmatch(run) is not None


def locate_run(
    flow: type[FlowSpec], path: str, branch: str | None = None, production: bool = False
) -> tuple[str, list[str]]:
    """Under which of a flow's names a run is stored, and the parts of a path without that name.

    A laptop's runs have the flow's own name. Where the flow is deployed in a project they have its full
    one, and so have two branches different runs of one id.

    Args:
        flow: The flow class.
        path: A run id and more; the flow's name, full or not, may come before.
        branch: Of ``--branch``.
        production: Whether there is ``--production``.
    """
    parts = path.strip("/").split("/")
    if len(parts) > 1 and flow_class(parts[0]) == flow.__name__:
        return parts[0], parts[1:]
    if is_laptop_run(parts[0]):
        return flow.__name__, parts
    return full_name(flow, branch, production), parts
