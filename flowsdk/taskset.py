"""Tasks of a step that are launched together: their specs before, their outcomes afterwards.

The specs of a set are one object, so that launching ten thousand tasks is one upload; each task reads
its own range of it. Content: ``number of specs (8) | offset of each (8 each) | end (8)``, then the
JSON of each TaskSpec; numbers little endian.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from flowsdk.document import Document
from flowsdk.exception import DatastoreError
from flowsdk.spec import ForeachFrame, Splits, TaskRef, TaskResult, TaskSpec

_NUMBER = struct.Struct("<Q")


def gang_size(foreach: Sequence[ForeachFrame]) -> int:
    """How many tasks there are in the gang of a task; 1 if it is in none.

    Args:
        foreach: The foreach levels around the task. That of a gang has no values.
    """
    return foreach[-1].count if foreach and not foreach[-1].values else 1


def by_cause(result: TaskResult) -> int:
    """What to sort the results of a gang by, so that those come first which have made others fail."""
    kinds = ("user", "system", "interrupted")
    return kinds.index(result.error.kind) if result.error else len(kinds)


def pack_specs(specs: Sequence[TaskSpec]) -> list[bytes]:
    """The parts of the object that holds the specs of a set; ``flowsdk.runtime.loader`` reads it."""
    documents = [spec.to_json() for spec in specs]
    at = _NUMBER.size * (2 + len(documents))
    index = [_NUMBER.pack(len(documents))]
    for document in documents:
        index.append(_NUMBER.pack(at))
        at += len(document)
    index.append(_NUMBER.pack(at))
    return [b"".join(index), *documents]


def unpack_specs(data: bytes) -> list[TaskSpec]:
    """What :func:`pack_specs` has packed."""
    (count,) = _NUMBER.unpack_from(data)
    offsets = [_NUMBER.unpack_from(data, _NUMBER.size * (1 + n))[0] for n in range(count + 1)]
    return [TaskSpec.from_json(data[a:b]) for a, b in pairwise(offsets)]


@dataclass(frozen=True)
class Outcome:
    """A task that has succeeded, as far as those that follow need to know it.

    Attributes:
        ref: The attempt that counts.
        foreach: The foreach levels around the task, outermost first.
        next: The steps that follow.
        splits: Set exactly if the step was a foreach.
    """

    ref: TaskRef
    foreach: tuple[ForeachFrame, ...] = ()
    next: tuple[str, ...] = ()
    splits: Splits | None = None

    @classmethod
    def of(cls, result: TaskResult) -> Outcome:
        """That of a result."""
        return cls(result.ref, result.foreach, result.next, result.splits)


@dataclass(frozen=True)
class SetOutcome(Document):
    """How a set ended of which every task has succeeded. Written once, after the last of them.

    Attributes:
        flow: Name of the flow.
        run: Run id.
        step: Name of the step.
        outcomes: Of the tasks, ordered by their split indices, and of loops each time in turn.
    """

    flow: str
    run: str
    step: str
    outcomes: tuple[Outcome, ...]

    def pack(self) -> bytes:
        """Compressed JSON: the frames of ten thousand tasks repeat each other."""
        return zlib.compress(self.to_json(), 1)

    @classmethod
    def unpack(cls, data: bytes, where: str) -> SetOutcome:
        """What :meth:`pack` wrote.

        Raises:
            DatastoreError: It is something else.
        """
        try:
            return cls.from_json(zlib.decompress(data), where)
        except zlib.error as error:
            raise DatastoreError(f"{cls.__name__} cannot be read ({where}): {error}.") from error

    @classmethod
    def _build(cls, values: dict[str, Any]) -> SetOutcome:
        values["outcomes"] = tuple(_outcome(entry) for entry in values["outcomes"])
        return cls(**values)


def _outcome(entry: dict[str, Any]) -> Outcome:
    splits = entry["splits"]
    return Outcome(
        ref=TaskRef.parse(entry["ref"]),
        foreach=tuple(ForeachFrame(**frame) for frame in entry["foreach"]),
        next=tuple(entry["next"]),
        splits=Splits(**{**splits, "labels": tuple(splits["labels"])}) if splits else None,
    )
