"""Runs one task in this process: inputs in, user code, artifacts out, a result."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime, timezone
from typing import Any, Literal

from flowsdk.artifacts.constants import ConstantsWatch
from flowsdk.artifacts.looking import is_known_type, untouched
from flowsdk.artifacts.scope import Scope
from flowsdk.artifacts.splits import gang_splits, is_used_up, split_values, store_splits
from flowsdk.current_task import current
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators import STEP_DECORATORS, StepDecorator, parse_spec
from flowsdk.decorators.base import decorators_of
from flowsdk.decorators.running import RunningTask
from flowsdk.exception import FlowException, InvalidNextException, TaskFailed
from flowsdk.flow import FlowSpec, FlowTask, constants_of, graph_of
from flowsdk.include_file import IncludeFile, included
from flowsdk.parameters import Parameter
from flowsdk.runtime.errors import describe, user_traceback
from flowsdk.runtime.inputs import Inputs, branches
from flowsdk.runtime.interrupt import interruptible
from flowsdk.spec import ArtifactRef, ErrorInfo, Splits, TaskResult, TaskSpec
from flowsdk.transition import implied
from flowsdk.version import PYTHON_VERSION, VERSION

#: What the task of this process leaves. The process ends after it; to take millions of objects apart
#: before that would take seconds.
_LEFT: list[FlowSpec] = []
#: Of smaller artifacts it is quicker to see whether they have changed than to read the step's source.
_WORTH_LOOKING = 1024 * 1024


class StepExited(FlowException):
    """User code called ``sys.exit`` in a step."""


def utc_now() -> str:
    """The time as all documents have it: ISO 8601, UTC, microseconds."""
    return datetime.now(timezone.utc).isoformat()


def run_task(
    spec: TaskSpec,
    flow: type[FlowSpec],
    store: FlowDatastore,
    lost: ErrorInfo | None = None,
    *,
    plain: bool = False,
) -> TaskResult:
    """Run one task and store its artifacts; the result is returned, not yet stored.

    Whatever goes wrong is in the result: this raises nothing but what ends the process.

    Args:
        spec: What to run.
        flow: The flow class.
        store: The flow's datastore.
        lost: Why the process of this attempt has died, if it has: only what the step's decorators
            do about it is run then.
        plain: Run the step without what its decorators do.
    """
    started_at = utc_now()
    try:
        with (
            tempfile.TemporaryDirectory(prefix="flowsdk-", ignore_cleanup_errors=True) as tempdir,
            interruptible(spec.step, spec.timeout_seconds),
        ):
            return _Attempt(spec, flow, store, tempdir, lost, plain).run(started_at)
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
        "host": os.uname().nodename,
        "batch_job": os.environ.get("AWS_BATCH_JOB_ID"),
        "versions": {"python": PYTHON_VERSION, "flowsdk": VERSION},
    }


class _Attempt:
    def __init__(
        self,
        spec: TaskSpec,
        flow: type[FlowSpec],
        store: FlowDatastore,
        tempdir: str,
        lost: ErrorInfo | None,
        plain: bool,
    ) -> None:
        self.spec = spec
        self.flow = flow
        self.store = store
        self.tempdir = tempdir
        self.lost = lost
        self.plain = plain
        self.node = graph_of(flow)[spec.step]

    def run(self, started_at: str) -> TaskResult:
        spec = self.spec
        parents = self.store.read_results(spec.run, spec.parents)
        _require_success(spec, parents)
        inherited = self._inherited(parents)
        scope = self.scope = Scope(self.store.storage, self.store.blobs, inherited)
        task = FlowTask(spec.step, scope, spec.foreach)
        obj = self.flow(use_cli=False)
        _LEFT.append(obj)
        obj._begin(task)
        if not spec.parents:
            inherited = self._store_parameters()
            scope.refs.update(inherited)
        os.environ.update(spec.environment)
        parameters = [name for name, ref in inherited.items() if ref.kind == "parameter"]
        current._begin(spec, parameters, self.tempdir, self.flow)
        inputs = Inputs(self.flow, self.store, branches(parents)) if spec.is_join else None
        running = RunningTask(spec, obj, inputs, self.store, self.node, task, self.lost)
        decorators = [] if self.plain else decorators_of(self.flow, spec.step, _added(spec))
        try:
            result = self._execute(running, decorators, started_at)
        except Exception as error:  # noqa: BLE001  # user code may raise anything
            result = failed_result(spec, describe(error), started_at)
        _tell(decorators, running, result)
        return result

    def _execute(
        self, running: RunningTask, decorators: Sequence[StepDecorator], started_at: str
    ) -> TaskResult:
        """The step within its decorators, and what it has left behind."""
        spec, scope, task, obj = self.spec, self.scope, running.flow_task, running.flow
        constants = ConstantsWatch(lambda: constants_of(self.flow))
        with ExitStack() as stack:
            for decorator in decorators:
                if around := decorator.around(running):
                    stack.enter_context(around)
            self._call(running)
        follows, splits = self._finish_transition(obj, task)
        artifacts = scope.changed(
            obj._values(),
            task.loaded,
            str(spec.ref),
            places=task.places(),
            untouched=self._untouched(task.loaded, running, decorators),
        )
        _warn_of([*scope.changed_in_vain, *constants.changed()], spec.step)
        return TaskResult(
            status="succeeded",
            started_at=started_at,
            finished_at=utc_now(),
            artifacts={**scope.refs, **artifacts},
            next=follows,
            splits=splits,
            caught=running.caught,
            **_identity(spec),
        )

    def _call(self, running: RunningTask) -> None:
        """The step's own code, or what a decorator has put in its place."""
        if self.lost is not None:
            error = self.lost
            raise TaskFailed(error.message, error.kind, error.type, error.traceback)
        if running.skip:
            return
        inputs = () if running.inputs is None else (running.inputs,)
        try:
            if running.code is None:
                getattr(running.flow, self.spec.step)(*inputs)
            else:
                _go_on_as_told(running, running.code(running.flow, *inputs))
        except SystemExit as error:
            raise StepExited(
                f"Step {self.spec.step!r} called sys.exit({error.code!r}). Return from the step, or "
                f"raise an exception to make it fail."
            ) from error
        if self.node.next and running.flow._transition is None:
            raise InvalidNextException(
                f"Step {self.spec.step!r} ({self.node.file}:{self.node.line}) ended without calling "
                f"self.next(), expected {', '.join(self.node.next)}."
            )

    def _untouched(
        self, loaded: Mapping[str, Any], running: RunningTask, decorators: Sequence[StepDecorator]
    ) -> frozenset[str]:
        """Large artifacts that have been loaded and cannot have changed, by the step's source."""
        own = all(
            type(decorator) is STEP_DECORATORS.get(decorator.name) for decorator in decorators
        )
        if running.code is not None or not own:
            return frozenset()
        refs = self.scope.refs
        large = frozenset(
            name
            for name, value in loaded.items()
            if name in refs and refs[name].size >= _WORTH_LOOKING and is_known_type(value)
        )
        return untouched(getattr(self.flow, self.spec.step), self.flow, large)

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
        files: dict[str, ArtifactRef] = {}
        for name, value in (self.spec.parameters or {}).items():
            attribute = attributes.get(name, name)
            declared = getattr(self.flow, attribute, None)
            if isinstance(declared, IncludeFile) and isinstance(value, Mapping):
                files[attribute] = included(value, str(self.spec.ref))
                continue
            values[attribute] = value
            kinds[attribute] = "parameter"
        for name, value in constants_of(self.flow).items():
            values[name] = value
            kinds[name] = "constant"
        graph = graph_of(self.flow)
        place = f"{graph.file}:{graph.line}, as a constant of class {graph.name}"
        places = {name: place for name, kind in kinds.items() if kind == "constant"}
        return {**self.scope.changed(values, {}, str(self.spec.ref), kinds, places), **files}

    def _finish_transition(
        self, obj: FlowSpec, task: FlowTask
    ) -> tuple[tuple[str, ...], Splits | None]:
        """The steps that follow, and into what the task splits, if it does."""
        node = self.node
        if not node.next:
            return (), None
        # A decorator that made the step succeed need not have said where it goes.
        transition = task.transition or implied(obj, node)
        if transition.gang:
            return transition.next, gang_splits(transition.gang)
        if transition.foreach is None:
            return transition.next, None
        splits = self._split(obj, transition.foreach, transition.allow_empty)
        if not splits.count:
            return (graph_of(self.flow).join_for(node.name),), splits
        return transition.next, splits

    def _split(self, obj: FlowSpec, var: str, allow_empty: bool) -> Splits:
        """Store the elements of a foreach, each readable by itself."""
        where = f"step {self.spec.step!r} ({self.node.file}:{self.node.next_line})"
        try:
            value = getattr(obj, var)
        except AttributeError as error:
            raise InvalidNextException(
                f"foreach={var!r} in {where}: self.{var} does not exist. Assign it before "
                f"self.next()."
            ) from error
        values = split_values(value, var, where=where, allow_empty=allow_empty)
        if is_used_up(value):
            obj.__dict__[var] = values
        return store_splits(self.store.blobs, var, values, where=where)


def _tell(decorators: Sequence[StepDecorator], running: RunningTask, result: TaskResult) -> None:
    """Let every decorator see the result.

    What one raises makes a success a failure, but hides no failure. A task whose host goes away has
    no time for any of it.
    """
    if result.error is not None and result.error.kind == "interrupted":
        return
    for decorator in decorators:
        try:
            decorator.finished(running, result)
        except Exception as error:  # a decorator of one's own may raise anything
            if result.succeeded:
                raise
            sys.stderr.write(user_traceback(error))


def _go_on_as_told(running: RunningTask, how: Any) -> None:
    """Do what code in the place of a step has returned.

    That is nothing if it has called ``self.next`` itself, True for the transition in the source, or
    a dict with keywords of ``self.next``.
    """
    if how is True:
        running.go_on()
    elif isinstance(how, dict):
        running.go_on(**how)
    elif how is not None and how is not False:
        raise InvalidNextException(
            f"The function that a decorator has put in the place of step {running.node.name!r} "
            f"returned {how!r}, expected None, True or a dict with keywords of self.next."
        )


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
