"""``TaskRecord``: the few KB of a task's result that a metadata database keeps.

Launchers write it and readers of runs read it; what runs a task does neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from flowsdk.document import Document, canonical_json
from flowsdk.spec import ForeachFrame, Status, TaskRef, TaskResult

#: What a TaskRecord may take in a metadata database, in bytes of JSON.
RECORD_LIMIT = 6 * 1024


@dataclass(frozen=True)
class TaskRecord(Document):
    """What a metadata database keeps of a finished task: a few KB, never an artifact's value.

    Attributes:
        flow: Name of the flow.
        run: Run id.
        step: Name of the step.
        task: Task id.
        attempt: The attempt that counts, 0-based.
        status: ``succeeded`` or ``failed``.
        result: URI of its ``result.json``.
        started_at: When user code was about to start.
        finished_at: When everything had been stored.
        artifacts: Digest, size and type of each visible artifact, own ones first, as far as
            ``RECORD_LIMIT`` allows; the rest is in the result.
        artifact_count: How many artifacts the result lists.
        next: The steps that follow.
        splits: Number of splits if the step was a foreach, else None.
        foreach: The foreach levels around the task.
        code: Key of the code package, or None.
        batch_job: AWS Batch job id, or None.
        error: The exception, shortened, if it failed.
        count: How many tasks the record stands for.
        outcome: Of several tasks, if all have succeeded, the URI of their SetOutcome.
        chunk: Of a foreach, how many splits a mapped task instance stands for.
    """

    flow: str
    run: str
    step: str
    task: str
    attempt: int
    status: Status
    result: str
    started_at: str
    finished_at: str
    artifacts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    artifact_count: int = 0
    next: tuple[str, ...] = ()
    splits: int | None = None
    foreach: tuple[ForeachFrame, ...] = ()
    code: str | None = None
    batch_job: str | None = None
    error: str | None = None
    count: int = 1
    outcome: str | None = None
    chunk: int = 1

    @property
    def ref(self) -> TaskRef:
        """The attempt that counts."""
        return TaskRef(self.step, self.task, self.attempt)

    @classmethod
    def of(
        cls, result: TaskResult, uri: str, batch_job: str | None = None, chunk: int = 1
    ) -> TaskRecord:
        """The record of ``result``, which lies at ``uri``; shortened to ``RECORD_LIMIT``."""
        own = str(result.ref)
        artifacts: dict[str, Mapping[str, Any]] = {
            name: {"digest": ref.digest, "size": ref.size, "type": ref.type}
            for name, ref in sorted(
                result.artifacts.items(), key=lambda item: (item[1].origin != own, item[0])
            )
        }
        error = f"{result.error.type}: {result.error.message}"[:500] if result.error else None
        record = cls(
            flow=result.flow,
            run=result.run,
            step=result.step,
            task=result.task,
            attempt=result.attempt,
            status=result.status,
            result=uri,
            started_at=result.started_at,
            finished_at=result.finished_at,
            artifact_count=len(result.artifacts),
            next=result.next,
            splits=result.splits.count if result.splits else None,
            foreach=result.foreach,
            code=result.code,
            batch_job=batch_job or result.batch_job,
            error=error,
            chunk=chunk,
        )
        room = RECORD_LIMIT - len(record.to_json())
        kept: dict[str, Mapping[str, Any]] = {}
        for name, entry in artifacts.items():
            room -= len(canonical_json({name: entry}))
            if room < 0:
                break
            kept[name] = entry
        return replace(record, artifacts=kept)

    @classmethod
    def _build(cls, values: dict[str, Any]) -> TaskRecord:
        values["foreach"] = tuple(ForeachFrame(**f) for f in values["foreach"])
        values["next"] = tuple(values["next"])
        return cls(**values)
