"""Spinning: one task of an earlier run, run again by itself and without touching that run."""

from __future__ import annotations

import json
import runpy
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from flowsdk.artifacts.scope import Scope
from flowsdk.configs import pin_configs, resolve_configs
from flowsdk.datastore import FlowDatastore, keys
from flowsdk.datastore.layered import LayeredStorage
from flowsdk.datastore.storage import open_storage
from flowsdk.decorators.base import StepDecorator
from flowsdk.decorators.settings import StepSettings, step_settings
from flowsdk.exception import UsageError, did_you_mean
from flowsdk.flow import FlowSpec, graph_of
from flowsdk.graph import Node
from flowsdk.lint import validate
from flowsdk.local.launchers import OnLines
from flowsdk.local.run import is_laptop_run, locate_run, new_run_id
from flowsdk.planning import iteration_of, task_spec
from flowsdk.runtime.errors import user_traceback
from flowsdk.runtime.processes import TaskProcesses
from flowsdk.runtime.task import run_task, utc_now
from flowsdk.spec import ErrorInfo, RunEnd, TaskRef, TaskResult, TaskSpec

#: Folder in which spun tasks are kept, if they are.
SPIN_FOLDER = ".flowsdk_spin"
_ARTIFACTS = "ARTIFACTS"


def inspect_spin(datastore_root: str = ".") -> str:
    """Have the client look at the spun tasks that ``spin --persist`` has kept.

    Args:
        datastore_root: The folder in which ``spin`` was called.

    Returns:
        The provider, as ``get_metadata()`` tells it; ``default_metadata()`` goes back.
    """
    from flowsdk.client.selection import metadata

    return metadata(f"local@{Path(datastore_root).expanduser().absolute() / SPIN_FOLDER}")


@dataclass(frozen=True)
class SpinOptions:
    """How a task is spun.

    Attributes:
        root: URI of the datastore that holds the task.
        scratch: Folder of a datastore for what the task leaves.
        decorators: Added to the step unless it has one of the kind (``--with``).
        skip_decorators: Run the step's code without what its decorators do.
        artifacts: Artifacts that the step is to see in place of those that it had. Of a join, those
            of each input, by the input's pathspec or its end, such as ``a/0``.
        keep: Leave in ``scratch`` all that the client needs to read the task.
        branch: As of ``RunOptions``.
        production: As of ``RunOptions``.
    """

    root: str
    scratch: str
    decorators: tuple[StepDecorator, ...] = ()
    skip_decorators: bool = False
    artifacts: Mapping[str, Any] | None = None
    keep: bool = False
    branch: str | None = None
    production: bool = False


def artifacts_of_module(path: Path) -> Mapping[str, Any]:
    """What a module calls ``ARTIFACTS``: a dictionary by name, or of such by input.

    Raises:
        UsageError: There is no such file, it fails, or it defines none.
    """
    if not path.is_file():
        raise UsageError(f"--artifacts-module {path}: found no such file, expected a module.")
    try:
        found = runpy.run_path(str(path)).get(_ARTIFACTS)
    except Exception as error:  # the user's own code
        raise UsageError(
            f"--artifacts-module {path} failed:\n{user_traceback(error).rstrip()}"
        ) from error
    if not isinstance(found, Mapping):
        raise UsageError(
            f"--artifacts-module {path}: found {_ARTIFACTS} = {found!r}, expected a dictionary of "
            f"artifacts by name."
        )
    return found


class Spin:
    """One task of an earlier run, prepared by the constructor, run by :meth:`execute`.

    How it works:
        The task gets a run of its own, which lies in the scratch folder. It reads artifacts from where
        the earlier run has them; whatever it writes goes to the scratch folder.

    Args:
        flow: The flow class.
        pathspec: ``step``, ``run/step`` or ``run/step/task``, the flow's name may come before. Without
            a run the newest of a laptop that has the step; without a task its first.
        options: How.

    Raises:
        FlowLintError: The flow has problems.
        UsageError: There is no such task, or it cannot be spun.
    """

    def __init__(self, flow: type[FlowSpec], pathspec: str, options: SpinOptions) -> None:
        self._flow = flow
        self._options = options
        name = flow.__name__
        if "/" in pathspec.strip("/"):
            name, parts = locate_run(flow, pathspec, options.branch, options.production)
            pathspec = "/".join(parts)
        self._past = FlowDatastore.at(options.root, name)
        run, ref = _find(flow, self._past, pathspec)
        origin = self._past.read_run(run)
        pin_configs(origin.configs)
        try:
            resolve_configs(flow, {})
        finally:
            pin_configs(None)
        graph = graph_of(flow)
        validate(graph)
        if ref.step not in graph:
            raise UsageError(
                f"Spin {pathspec}: the flow has no step {ref.step!r} any more, expected one of "
                f"{', '.join(graph.nodes)}.{did_you_mean(ref.step, graph.nodes)}"
            )
        self._store = self._layered()
        self.run = replace(
            origin,
            run=new_run_id(),
            created_at=utc_now(),
            launcher="local",
            code=None,
            origin=f"{name}/{run}",
            decorators=tuple(decorator.spec() for decorator in options.decorators),
        )
        self.spec = self._spec(graph[ref.step], self._past.read_spec(run, ref))
        self._write_parents(run)

    def _layered(self) -> FlowDatastore:
        storage = LayeredStorage(
            open_storage(self._options.scratch), open_storage(self._options.root)
        )
        return FlowDatastore(storage, self._past.flow)

    def _spec(self, node: Node, past: TaskSpec) -> TaskSpec:
        if past.foreach and not past.foreach[-1].values:
            raise UsageError(
                f"Spin {past.pathspec}: found a task of a gang, expected one that runs by itself. "
                f"Spin the step before it, or resume the run."
            )
        settings = (
            StepSettings()
            if self._options.skip_decorators
            else step_settings(self._flow, node.name, self._options.decorators)
        )
        spec = task_spec(
            self.run,
            self._options.root,
            node,
            replace(settings, retry_times=0),
            parents=past.parents,
            foreach=past.foreach,
            facts=past.facts,
            iteration=iteration_of(past.task),
        )
        if past.parents or self._options.artifacts is None:
            return spec
        foreign = sorted(set(self._options.artifacts) - set(spec.parameters or {}))
        if foreign:
            raise UsageError(
                f"{_ARTIFACTS} of step {node.name!r}: found {', '.join(map(repr, foreign))}, expected "
                f"parameters: nothing comes before the first step."
                f"{did_you_mean(foreign[0], spec.parameters or {})}"
            )
        try:
            json.dumps(self._options.artifacts)
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"{_ARTIFACTS} of step {node.name!r}: {error}, expected values of parameters, which "
                f"JSON can hold."
            ) from error
        return replace(spec, parameters={**(spec.parameters or {}), **self._options.artifacts})

    def _write_parents(self, run: str) -> None:
        """The results that the task begins with, as those of its own run."""
        for result in self._past.read_results(run, self.spec.parents):
            names = self._overrides(result)
            scope = Scope(self._store.storage, self._store.blobs, {})
            kinds = {name: ref.kind for name, ref in result.artifacts.items()}
            changed = {
                name: replace(ref, kind=kinds.get(name, ref.kind))
                for name, ref in scope.changed(names, {}, str(result.ref)).items()
            }
            artifacts = {**result.artifacts, **changed}
            self._store.write_result(replace(result, run=self.run.run, artifacts=artifacts))

    def _overrides(self, parent: TaskResult) -> Mapping[str, Any]:
        given = self._options.artifacts or {}
        if not self.spec.is_join:
            return given
        path = f"{parent.pathspec}/"
        found: dict[str, Any] = {}
        for key, values in given.items():
            if not isinstance(values, Mapping) or "/" not in key:
                raise UsageError(
                    f"{_ARTIFACTS} of join {self.spec.step!r}: found {key!r}, expected a dictionary "
                    f"for each input, such as '{parent.step}/{parent.task}'."
                )
            if path.endswith(f"/{key.strip('/')}/") or path == f"{key.strip('/')}/":
                found.update(values)
        return found

    def execute(self, on_lines: OnLines) -> TaskResult:
        """Run the task; its result, a success or a failure."""
        spec, options = self.spec, self._options
        self._store.write_run(self.run)
        self._store.write_spec(spec)

        def target(lost: ErrorInfo | None) -> TaskResult:
            # Connections must not be shared across the fork.
            return run_task(spec, self._flow, self._layered(), lost, plain=options.skip_decorators)

        processes = TaskProcesses(on_lines)
        processes.start(spec, self._store, target)
        results: list[TaskResult] = []
        try:
            while not results:
                results = processes.poll(0.5)
        finally:
            processes.stop("spin is ending")
        (result,) = results
        self._store.write_run_end(spec.run, RunEnd(result.status, utc_now()))
        if options.keep:
            self._keep(result)
        return result

    def _keep(self, result: TaskResult) -> None:
        """Copy the values that the task has inherited: the scratch folder stands by itself."""
        digests = {ref.digest for ref in result.artifacts.values()}
        digests |= {frame.values for frame in result.foreach}
        kept = open_storage(self._options.scratch)
        for key in (keys.blob(self._flow.__name__, digest) for digest in digests):
            if not kept.exists(key):
                kept.write(key, [self._past.storage.view(key)], if_absent=True)


def _find(flow: type[FlowSpec], store: FlowDatastore, pathspec: str) -> tuple[str, TaskRef]:
    """The run and the newest attempt of the task that a pathspec means."""
    parts = pathspec.strip("/").split("/")
    if not 1 <= len(parts) <= 3 or not all(parts):
        raise UsageError(
            f"Which task to spin: found {pathspec!r}, expected STEP, RUN/STEP or RUN/STEP/TASK."
        )
    if len(parts) == 1:
        return _newest_with(flow, store, parts[0])
    run, step = parts[:2]
    where = f"Which task to spin (datastore {store.storage.root})"
    tasks = store.attempts(run, step).get(step, {})
    if not tasks:
        known = store.steps(run)
        if not known:
            raise UsageError(
                f"{where}: flow {store.flow} has no run {run!r}.{did_you_mean(run, store.runs())}"
            )
        raise UsageError(
            f"{where}: run {run} has no task of step {step!r}, expected one of {', '.join(known)}."
            f"{did_you_mean(step, known)}"
        )
    task = parts[2] if len(parts) == 3 else _first(tasks)
    if task not in tasks:
        raise UsageError(
            f"{where}: step {step!r} of run {run} has no task {task!r}.{did_you_mean(task, tasks)}"
        )
    return run, tasks[task][-1]


def _newest_with(flow: type[FlowSpec], store: FlowDatastore, step: str) -> tuple[str, TaskRef]:
    for run in reversed(store.runs()):
        tasks = store.attempts(run, step).get(step, {}) if is_laptop_run(run) else {}
        if tasks:
            return run, tasks[_first(tasks)][-1]
    steps = graph_of(flow).nodes
    where = f"Which task to spin (datastore {store.storage.root})"
    if step not in steps:
        raise UsageError(
            f"{where}: the flow has no step {step!r}, expected one of {', '.join(steps)}."
            f"{did_you_mean(step, steps)}"
        )
    raise UsageError(
        f"{where}: no run of flow {store.flow} on a "
        f"laptop has a task of step {step!r}, expected one. Run the flow first, or name a task as RUN/STEP/TASK."
    )


def _first(tasks: Mapping[str, Any]) -> str:
    from flowsdk.client.metadata import newest_first

    return newest_first(tasks)[-1]
