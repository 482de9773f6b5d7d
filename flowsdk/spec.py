"""The contract between whoever launches a task and the process that runs it.

``RunSpec`` describes a run, ``TaskSpec`` one attempt of one task, ``TaskResult`` how that attempt
ended. All are frozen and have one canonical JSON form, so that equal values are equal bytes. A
launcher writes the first two, the runtime writes the third, and nothing else passes between them.

Here are no files, no clocks and no network: only shapes. All times are ISO 8601 in UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from flowsdk.document import Document
from flowsdk.exception import Kind

Status = Literal["succeeded", "failed"]

#: What the types of errors begin with that a launcher has found: the task could not tell of them.
LOSS = "flowsdk.aws_batch."
#: Names of the classes of errors that say that memory has run out; the last is numpy's.
_OUT_OF_MEMORY = ("OutOfMemory", "MemoryError", "_ArrayMemoryError")


def flow_class(flow: str) -> str:
    """The class of a flow by the flow's name: one deployed in a project is ``project.branch.Flow``."""
    return flow.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class TaskRef:
    """One attempt of one task of the run at hand.

    Attributes:
        step: Name of the step.
        task: Task id: the split indices joined by ``-``, ``0`` outside a foreach.
        attempt: 0-based; grows for ever, over retries and clears.
    """

    step: str
    task: str
    attempt: int

    def __str__(self) -> str:
        return f"{self.step}/{self.task}/{self.attempt}"

    def to_plain(self) -> str:
        """Its form in JSON; :meth:`parse` reads it back."""
        return str(self)

    @classmethod
    def parse(cls, text: str) -> TaskRef:
        """The inverse of ``str()``."""
        step, task, attempt = text.split("/")
        return cls(step, task, int(attempt))


@dataclass(frozen=True)
class ArtifactRef:
    """Where an artifact is and what it is, without its value.

    Attributes:
        digest: Names the blob.
        size: Bytes of the serialized value, uncompressed.
        type: Qualified name of the value's class.
        serializer: Name of the serializer that wrote the blob.
        origin: ``step/task/attempt`` of the task that wrote it.
        kind: ``artifact``, ``parameter`` or ``constant`` (a class attribute). The last two flow
            through joins by themselves and are read-only.
        preview: Short printable form, computed where the value lived; None if there is none.
    """

    digest: str
    size: int
    type: str
    serializer: str
    origin: str
    kind: Literal["artifact", "parameter", "constant"] = "artifact"
    preview: str | None = None


@dataclass(frozen=True, slots=True)
class ForeachFrame:
    """One level of foreach that a task is in.

    Attributes:
        step: The step that split.
        var: Name of the artifact that was iterated over.
        index: 0-based position of this split.
        count: How many splits there are.
        values: Digest of the blob that holds the split values, each readable by itself; empty for
            a gang, whose elements are their indices.
        label: Short name of the split, for people.
    """

    step: str
    var: str
    index: int
    count: int
    values: str
    label: str


@dataclass(frozen=True)
class Splits:
    """What a foreach step produced, or one that starts a gang.

    Attributes:
        var: Name of the artifact that was iterated over; empty for a gang.
        count: How many splits there are; 0 if nothing was iterated over and the join is next.
        values: Digest of the blob with the values; empty for a gang.
        labels: A short name for each, in split order.
    """

    var: str
    count: int
    values: str
    labels: tuple[str, ...]

    def frame(self, step: str, index: int) -> ForeachFrame:
        """The frame of split ``index`` of a foreach in ``step``."""
        return ForeachFrame(step, self.var, index, self.count, self.values, self.labels[index])


@dataclass(frozen=True)
class ErrorInfo:
    """Why an attempt failed.

    Attributes:
        kind: ``user``, ``system`` or ``interrupted``: who has to act.
        type: Qualified name of the exception's class.
        message: ``str()`` of the exception.
        traceback: Formatted, user frames only; empty where there was no Python exception.
    """

    kind: Kind
    type: str
    message: str
    traceback: str = ""

    @property
    def lost(self) -> bool:
        """Whether the task has ended with all of its job, so that nothing in it could act."""
        return self.type.startswith(LOSS)

    @property
    def out_of_memory(self) -> bool:
        """Whether more memory might have helped."""
        return self.type.rpartition(".")[2] in _OUT_OF_MEMORY


@dataclass(frozen=True)
class RunSpec(Document):
    """A run, as it was asked for. Written once, before its first task.

    Attributes:
        flow: Name of the flow.
        run: Run id; under Airflow its run_id verbatim.
        parameters: Value of every parameter, as JSON.
        code: Key of the code package in the datastore, its last component the package's digest;
            None where tasks run in the launching process's own code.
        script: The flow file's path within the code package, or on disk where there is none.
        user: Who asked.
        created_at: When.
        launcher: ``local`` or ``airflow``.
        tags: Given when the run was started.
        system_tags: Set by flowsdk.
        origin: ``flow/run`` that this run resumes, or None.
        decorators: Added to every step that has none of the kind, each as ``--with`` takes it.
        configs: Value of every Config of the flow, as JSON text, which keeps the order of its keys.
        namespace: What the client in its steps looks in; None for ``user:<user>``.
    """

    _texts: ClassVar[tuple[str, ...]] = ("parameters",)

    flow: str
    run: str
    parameters: Mapping[str, Any]
    code: str | None
    script: str
    user: str
    created_at: str
    launcher: str
    tags: tuple[str, ...] = ()
    system_tags: tuple[str, ...] = ()
    origin: str | None = None
    decorators: tuple[str, ...] = ()
    configs: Mapping[str, str] = field(default_factory=dict)
    namespace: str | None = None

    @classmethod
    def _build(cls, values: dict[str, Any]) -> RunSpec:
        for name in ("tags", "system_tags", "decorators"):
            values[name] = tuple(values[name])
        return cls(**values)


@dataclass(frozen=True)
class RunEnd(Document):
    """How a laptop's run ended; under Airflow the DagRun says it.

    Attributes:
        status: ``succeeded`` or ``failed``.
        finished_at: When.
    """

    status: Status
    finished_at: str


@dataclass(frozen=True)
class TaskSpec(Document):
    """One attempt of one task, before it runs. Everything the runtime needs to know.

    Attributes:
        flow: Name of the flow class.
        run: Run id.
        step: Name of the step.
        task: Task id.
        attempt: 0-based.
        root: URI of the datastore: ``s3://bucket/prefix`` or a folder.
        parents: The attempts whose artifacts come in; empty for the start step. For a join, one
            per input in input order, or the foreach step if that iterated over nothing.
        is_join: Whether the step takes ``inputs``.
        foreach: The foreach levels around this task, outermost first.
        parameters: Values of the parameters; only the start step has them, later steps inherit.
        code: Key of the code package, as in RunSpec; None where the flow is loaded where it lies.
        script: The flow file's path within the code package (or on disk without one).
        user: Who asked for the run.
        namespace: E.g. ``user:alice``.
        tags: Of the run.
        retry_count: How many user retries came before this attempt.
        max_retries: How many user retries the step may have.
        timeout_seconds: User code is stopped after so many seconds; None means never.
        environment: Set in ``os.environ`` before user code runs.
        origin_run: Run id that is being resumed, or None.
        facts: What the launcher knows and ``current`` shows, e.g. Airflow's logical date.
        iteration: How often a step that loops to itself has run before in the same place.
        decorators: As in RunSpec.
        configs: As in RunSpec.
        catches: Whether a step that dies for the last time is to end by its ``@catch``.
        lost: How the attempt before this one has died, with all of its job, for the last time: then
            this one only does what ``@catch`` does about it.
    """

    _texts: ClassVar[tuple[str, ...]] = ("parameters",)

    flow: str
    run: str
    step: str
    task: str
    attempt: int
    root: str
    parents: tuple[TaskRef, ...] = ()
    is_join: bool = False
    foreach: tuple[ForeachFrame, ...] = ()
    parameters: Mapping[str, Any] | None = None
    code: str | None = None
    script: str | None = None
    user: str = ""
    namespace: str = ""
    tags: tuple[str, ...] = ()
    retry_count: int = 0
    max_retries: int = 0
    timeout_seconds: float | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    origin_run: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    iteration: int = 0
    decorators: tuple[str, ...] = ()
    configs: Mapping[str, str] = field(default_factory=dict)
    catches: bool = False
    lost: ErrorInfo | None = None

    @property
    def ref(self) -> TaskRef:
        """This attempt."""
        return TaskRef(self.step, self.task, self.attempt)

    @property
    def pathspec(self) -> str:
        """``Flow/run/step/task``."""
        return f"{self.flow}/{self.run}/{self.step}/{self.task}"

    @classmethod
    def _build(cls, values: dict[str, Any]) -> TaskSpec:
        values["parents"] = tuple(TaskRef.parse(p) for p in values["parents"])
        values["foreach"] = tuple(ForeachFrame(**f) for f in values["foreach"])
        if values.get("lost") is not None:
            values["lost"] = ErrorInfo(**values["lost"])
        for name in ("tags", "decorators"):
            values[name] = tuple(values[name])
        return cls(**values)


@dataclass(frozen=True)
class TaskResult(Document):
    """How one attempt ended. Written last and once: an attempt without one has not succeeded.

    Attributes:
        flow: Name of the flow.
        run: Run id.
        step: Name of the step.
        task: Task id.
        attempt: 0-based.
        status: ``succeeded`` or ``failed``.
        started_at: When user code was about to start.
        finished_at: When everything had been stored.
        error: Set exactly if the status is ``failed``.
        artifacts: Every artifact visible in this task, own and inherited. Empty if it failed.
        next: The steps that follow, as chosen by ``self.next``.
        splits: Set exactly if the step was a foreach or started a gang.
        foreach: The foreach levels around the task, outermost first.
        host: Name of the machine.
        batch_job: AWS Batch job id, or None.
        code: Key of the code package, or None.
        versions: Of python and flowsdk.
        origin: ``flow/run/step/task/attempt`` that a resumed run has this result from, or None.
        caught: The error that ``@catch`` has turned into a success, or None.
    """

    flow: str
    run: str
    step: str
    task: str
    attempt: int
    status: Status
    started_at: str
    finished_at: str
    error: ErrorInfo | None = None
    artifacts: Mapping[str, ArtifactRef] = field(default_factory=dict)
    next: tuple[str, ...] = ()
    splits: Splits | None = None
    foreach: tuple[ForeachFrame, ...] = ()
    host: str = ""
    batch_job: str | None = None
    code: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    origin: str | None = None
    caught: ErrorInfo | None = None

    @property
    def ref(self) -> TaskRef:
        """This attempt."""
        return TaskRef(self.step, self.task, self.attempt)

    @property
    def pathspec(self) -> str:
        """``Flow/run/step/task``."""
        return f"{self.flow}/{self.run}/{self.step}/{self.task}"

    @property
    def succeeded(self) -> bool:
        """Whether the attempt did all it had to."""
        return self.status == "succeeded"

    @classmethod
    def _build(cls, values: dict[str, Any]) -> TaskResult:
        splits = values["splits"]
        for name in ("error", "caught"):
            values[name] = ErrorInfo(**values[name]) if values.get(name) else None
        if splits:
            values["splits"] = Splits(**{**splits, "labels": tuple(splits["labels"])})
        values["artifacts"] = {n: ArtifactRef(**a) for n, a in values["artifacts"].items()}
        values["foreach"] = tuple(ForeachFrame(**f) for f in values["foreach"])
        values["next"] = tuple(values["next"])
        return cls(**values)
