"""Runs one task in this process: inputs in, user code, artifacts out, a result."""

from __future__ import annotations

import os
import platform
import socket
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import datetime, timezone
from typing import Any, Literal

from flowsdk.artifacts.scope import Scope
from flowsdk.artifacts.splits import split_values, store_splits
from flowsdk.current_task import current
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators import STEP_DECORATORS, StepDecorator, parse_spec
from flowsdk.decorators.base import decorators_of
from flowsdk.decorators.running import RunningTask
from flowsdk.exception import FlowException, InvalidNextException, TaskFailed
from flowsdk.flow import FlowSpec, FlowTask, constants_of, graph_of
from flowsdk.parameters import Parameter
from flowsdk.runtime.errors import describe
from flowsdk.runtime.inputs import Inputs
from flowsdk.runtime.interrupt import interruptible
from flowsdk.spec import ArtifactRef, ErrorInfo, Splits, TaskResult, TaskSpec
from flowsdk.version import VERSION


class StepExited(FlowException):
    """User code called ``sys.exit`` in a step."""


def utc_now() -> str:
    """The time as all documents have it: ISO 8601, UTC, microseconds."""
    return datetime.now(timezone.utc).isoformat()


def run_task(
    spec: TaskSpec, flow: type[FlowSpec], store: FlowDatastore, lost: ErrorInfo | None = None
) -> TaskResult:
    """Run one task and store its artifacts; the result is returned, not yet stored.

    Whatever goes wrong is in the result: this raises nothing but what ends the process.

    Args:
        spec: What to run.
        flow: The flow class.
        store: The flow's datastore.
        lost: Why the process of this attempt has died, if it has: only what the step's decorators
            do about it is run then.
    """
    started_at = utc_now()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="flowsdk-", ignore_cleanup_errors=True) as tempdir,
            interruptible(spec.step, spec.timeout_seconds),
        ):
            return _Attempt(spec, flow, store, tempdir, lost).run(started_at)
    except BaseException as error:  # noqa: BLE001  # user code may raise anything
        return failed_result(spec, describe(error), started_at)
    finally:
        current._end()


def failed_result(spec: TaskSpec, error: ErrorInfo, started_at: str) -> TaskResult:
    """The result of an attempt that failed: no artifacts, no next step."""
    return TaskResult(
        status="failed",
        started_at=started_at,
        finished_at=utc_now(),
        error=error,
        **_identity(spec),
    )


def _identity(spec: TaskSpec) -> dict[str, Any]:
    return {
        "flow": spec.flow,
        "run": spec.run,
        "step": spec.step,
        "task": spec.task,
        "attempt": spec.attempt,
        "foreach": spec.foreach,
        "code": spec.code,
        "host": socket.gethostname(),
        "batch_job": os.environ.get("AWS_BATCH_JOB_ID"),
        "versions": {"python": platform.python_version(), "flowsdk": VERSION},
    }


class _Attempt:
    def __init__(
        self,
        spec: TaskSpec,
        flow: type[FlowSpec],
        store: FlowDatastore,
        tempdir: str,
        lost: ErrorInfo | None,
    ) -> None:
        self.spec = spec
        self.flow = flow
        self.store = store
        self.tempdir = tempdir
        self.lost = lost

    def run(self, started_at: str) -> TaskResult:
        spec = self.spec
        parents = self.store.read_results(spec.run, spec.parents)
        _require_success(spec, parents)
        inherited = self._inherited(parents)
        scope = self.scope = Scope(self.store.storage, self.store.blobs, inherited)
        task = FlowTask(spec.step, scope, spec.foreach)
        obj = self.flow(use_cli=False)
        obj._begin(task)
        if not spec.parents:
            inherited = self._store_parameters()
            scope.refs.update(inherited)
        os.environ.update(spec.environment)
        parameters = [name for name, ref in inherited.items() if ref.kind == "parameter"]
        current._begin(spec, parameters, self.tempdir)
        inputs = Inputs(self.flow, self.store, parents) if spec.is_join else None
        running = RunningTask(spec, obj, inputs, self.store, self.lost)
        decorators = decorators_of(self.flow, spec.step, _added(spec))
        with ExitStack() as stack:
            for decorator in decorators:
                if around := decorator.around(running):
                    stack.enter_context(around)
            self._call(running)
        splits = self._finish_transition(obj, task)
        artifacts = scope.changed(obj._values(), task.loaded, str(spec.ref), places=task.places())
        _warn_of(scope.changed_in_vain, spec.step)
        result = TaskResult(
            status="succeeded",
            started_at=started_at,
            finished_at=utc_now(),
            artifacts={**scope.refs, **artifacts},
            next=task.next or (),
            splits=splits,
            caught=running.caught,
            **_identity(spec),
        )
        for decorator in decorators:
            decorator.finished(running, result)
        return result

    def _call(self, running: RunningTask) -> None:
        """The step's own code."""
        if self.lost is not None:
            error = self.lost
            raise TaskFailed(error.message, error.kind, error.type, error.traceback)
        if running.skip:
            return
        method = getattr(running.flow, self.spec.step)
        try:
            method(*(() if running.inputs is None else (running.inputs,)))
        except SystemExit as error:
            raise StepExited(
                f"Step {self.spec.step!r} called sys.exit({error.code!r}). Return from the step, or "
                f"raise an exception to make it fail."
            ) from error

    def _inherited(self, parents: list[TaskResult]) -> dict[str, ArtifactRef]:
        """A join inherits only parameters and constants; other steps inherit everything."""
        if not parents:
            return {}
        refs = parents[0].artifacts
        if not self.spec.is_join:
            return dict(refs)
        return {name: ref for name, ref in refs.items() if ref.kind != "artifact"}

    def _store_parameters(self) -> dict[str, ArtifactRef]:
        """In the start step, parameters and constants become artifacts of the run.

        They are stored before the step runs: what it does to them in place is not theirs to keep.
        """
        kinds: dict[str, Literal["parameter", "constant"]] = {}
        values: dict[str, Any] = {}
        attributes = _parameter_attributes(self.flow)
        for name, value in (self.spec.parameters or {}).items():
            attribute = attributes.get(name, name)
            values[attribute] = value
            kinds[attribute] = "parameter"
        for name, value in constants_of(self.flow).items():
            values[name] = value
            kinds[name] = "constant"
        return self.scope.changed(values, {}, str(self.spec.ref), kinds)

    def _finish_transition(self, obj: FlowSpec, task: FlowTask) -> Splits | None:
        node = graph_of(self.flow)[self.spec.step]
        if node.next and task.next is None:
            raise InvalidNextException(
                f"Step {self.spec.step!r} ({node.file}:{node.line}) ended without calling "
                f"self.next(), expected {', '.join(node.next)}."
            )
        if task.foreach is None:
            return None
        if task.foreach not in obj.__dict__ and task.foreach not in self.scope.refs:
            raise InvalidNextException(
                f"foreach={task.foreach!r} in step {self.spec.step!r} ({node.file}:"
                f"{node.next_line}): self.{task.foreach} does not exist. Assign it before "
                f"self.next()."
            )
        value = getattr(obj, task.foreach)
        values = split_values(value, task.foreach)
        if hasattr(value, "__next__"):
            # A generator is used up by now and cannot be stored: its elements are the artifact.
            obj.__dict__[task.foreach] = values
        return store_splits(self.store.blobs, task.foreach, values)


def _added(spec: TaskSpec) -> list[StepDecorator]:
    """The decorators that the run's ``--with`` adds."""
    return [parse_spec(text, STEP_DECORATORS) for text in spec.decorators]


def _warn_of(names: list[str], step: str) -> None:
    """Tell of changes that nobody else will see; to undo them silently would be to lose data."""
    for name in names:
        sys.stderr.write(
            f"Warning: step {step!r} changed self.{name} in place, which is a parameter or a "
            f"constant of the flow: other steps see it unchanged. Copy it first.\n"
        )


def _parameter_attributes(flow: type[FlowSpec]) -> Mapping[str, str]:
    """Parameter name → attribute that holds it."""
    found = {}
    for attribute in dir(flow):
        value = getattr(flow, attribute, None)
        if isinstance(value, Parameter):
            found[value.name] = attribute
    return found


def _require_success(spec: TaskSpec, parents: list[TaskResult]) -> None:
    failed = [str(parent.ref) for parent in parents if not parent.succeeded]
    if failed:
        raise FlowException(
            f"Task {spec.pathspec} cannot run: its parent{'s' * (len(failed) > 1)} "
            f"{', '.join(failed[:5])} failed."
        )
