"""What lies in the datastore of one flow, in the flow's own words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

from flowsdk.datastore import keys
from flowsdk.datastore.blobs import BlobStore
from flowsdk.datastore.parallel import in_parallel
from flowsdk.datastore.storage import Storage, open_storage
from flowsdk.datastore.tags import RunTags
from flowsdk.exception import KeyNotFound
from flowsdk.spec import RunEnd, RunSpec, TaskRef, TaskResult, TaskSpec
from flowsdk.taskset import SetOutcome, pack_specs, unpack_specs

K = TypeVar("K")
T = TypeVar("T")

#: Parallel reads of a join's parents; S3 answers a small GET in some 20 ms, so this hides it.
_PARALLEL_READS = 32


class FlowDatastore:
    """Runs, specs, results, logs, code packages and blobs of one flow.

    Args:
        storage: Where the bytes lie.
        flow: Name of the flow.
    """

    def __init__(self, storage: Storage, flow: str) -> None:
        self.storage = storage
        self.flow = flow
        self.blobs = BlobStore(storage, flow)

    @classmethod
    def at(cls, root: str, flow: str, client: Any = None) -> FlowDatastore:
        """The datastore of ``flow`` below ``root``; see ``open_storage`` for the arguments."""
        return cls(open_storage(root, client), flow)

    # -- documents

    def write_run(self, spec: RunSpec) -> bool:
        """Store a RunSpec unless the run has one. Returns whether this one was stored."""
        key = keys.run_document(self.flow, spec.run)
        return self.storage.write(key, [spec.to_json()], if_absent=True)

    def read_run(self, run: str) -> RunSpec:
        """The RunSpec of ``run``; raises KeyNotFound."""
        key = keys.run_document(self.flow, run)
        return RunSpec.from_json(self.storage.read(key), self.storage.uri(key))

    def write_run_end(self, run: str, end: RunEnd) -> None:
        """Note that a laptop's run has ended."""
        self.storage.write(keys.run_end(self.flow, run), [end.to_json()])

    def read_run_end(self, run: str) -> RunEnd | None:
        """How a laptop's run ended; None while it runs, and for runs under Airflow."""
        key = keys.run_end(self.flow, run)
        try:
            return RunEnd.from_json(self.storage.read(key), self.storage.uri(key))
        except KeyNotFound:
            return None

    def write_alive(self, run: str) -> None:
        """Note that a run goes on. Only when this was written counts."""
        self.storage.write(keys.run_alive(self.flow, run), [b"The run went on at this time.\n"])

    def last_alive(self, run: str) -> float | None:
        """When a run was last known to go on, in seconds since 1970; None if it does not say."""
        return self.storage.modified(keys.run_alive(self.flow, run))

    def refuse_run(self, run: str) -> None:
        """Note that a later run of the same id exists, which must not take these data for its own."""
        key = keys.run_refusal(self.flow, run)
        self.storage.write(key, [b"These data are those of an earlier run of this id.\n"])

    def is_refused(self, run: str) -> bool:
        """Whether :meth:`refuse_run` has been called for a run since its data were deleted last."""
        return self.storage.modified(keys.run_refusal(self.flow, run)) is not None

    def read_tags(self, run: str) -> RunTags:
        """The tags that a run has now; raises KeyNotFound if there is no such run."""
        return self._newest_tags(run)[1]

    def edit_tags(self, run: str, edit: Callable[[RunTags], RunTags]) -> RunTags:
        """Change the tags of a run; concurrent edits all count, in some order.

        Args:
            run: Run id.
            edit: The new tags for the old ones; called again where another edit came first.

        Raises:
            KeyNotFound: There is no such run.
        """
        while True:  # whoever comes too late finds one edit more
            number, tags = self._newest_tags(run)
            edited = edit(tags)
            key = keys.run_tags(self.flow, run, number + 1)
            if edited == tags or self.storage.write(key, [edited.to_json()], if_absent=True):
                return edited

    def _newest_tags(self, run: str) -> tuple[int, RunTags]:
        """The tags of a run and the number of the edit that made them."""
        names = self.storage.children(keys.run(self.flow, run))
        number = max(map(keys.tags_edit, names), default=0)
        if not number:
            return 0, RunTags.of(self.read_run(run))
        key = keys.run_tags(self.flow, run, number)
        return number, RunTags.from_json(self.storage.read(key), self.storage.uri(key))

    def write_spec(self, spec: TaskSpec) -> bool:
        """Store a TaskSpec unless the attempt has one. Returns whether this one was stored."""
        key = keys.spec(self.flow, spec.run, spec.ref)
        return self.storage.write(key, [spec.to_json()], if_absent=True)

    def spec_uri(self, run: str, ref: TaskRef) -> str:
        """Where the TaskSpec of an attempt lies: all that a job is told."""
        return self.storage.uri(keys.spec(self.flow, run, ref))

    def write_specs(self, part: str, specs: Sequence[TaskSpec]) -> bool:
        """Store the specs of tasks that are launched together; whether there were none before.

        Args:
            part: Of the step: a name of its own for each such set of an attempt.
            specs: Of one step and attempt of a run.
        """
        key = keys.set_specs(self.flow, specs[0].run, part, specs[0].ref)
        return self.storage.write(key, pack_specs(specs), if_absent=True)

    def specs_uri(self, run: str, part: str, ref: TaskRef) -> str:
        """Where :meth:`write_specs` has stored the specs of the step and attempt of ``ref``."""
        return self.storage.uri(keys.set_specs(self.flow, run, part, ref))

    def read_specs(self, uri: str) -> list[TaskSpec]:
        """What :meth:`write_specs` has stored at ``uri``."""
        return unpack_specs(self.storage.read(self._key_at(uri)))

    def set_generations(self, run: str, step: str) -> dict[str, int]:
        """The newest generation of every part of a step whose tasks were launched together."""
        names = self.storage.children(keys.step_sets(self.flow, run, step))
        found: dict[str, int] = {}
        for part, generation in filter(None, map(keys.generation_of, names)):
            found[part] = max(generation, found.get(part, 0))
        return found

    def write_set_outcome(self, part: str, attempt: int, outcome: SetOutcome) -> str:
        """Store how the tasks of a task instance have ended; the URI of the object."""
        ref = TaskRef(outcome.step, part, attempt)
        key = keys.set_outcome(self.flow, outcome.run, part, ref)
        self.storage.write(key, [outcome.pack()])
        return self.storage.uri(key)

    def read_set_outcome(self, uri: str) -> SetOutcome:
        """What :meth:`write_set_outcome` has stored at ``uri``."""
        key = self._key_at(uri)
        return SetOutcome.unpack(self.storage.read(key), uri)

    def read_set_outcomes(self, uris: Iterable[str]) -> list[SetOutcome]:
        """Several of them, in the order asked for."""
        return self._each(self.read_set_outcome, list(uris))

    def read_spec_at(self, uri: str) -> TaskSpec:
        """The TaskSpec at ``uri``, as :meth:`spec_uri` gives it."""
        return TaskSpec.from_json(self.storage.read(self._key_at(uri)), uri)

    def read_spec(self, run: str, ref: TaskRef) -> TaskSpec:
        """The TaskSpec of an attempt; raises KeyNotFound."""
        key = keys.spec(self.flow, run, ref)
        return TaskSpec.from_json(self.storage.read(key), self.storage.uri(key))

    def write_result(self, result: TaskResult) -> bool:
        """Commit an attempt. The first result wins; returns whether it was this one."""
        key = keys.result(self.flow, result.run, result.ref)
        return self.storage.write(key, [result.to_json()], if_absent=True)

    def result_uri(self, run: str, ref: TaskRef) -> str:
        """Where the TaskResult of an attempt lies."""
        return self.storage.uri(keys.result(self.flow, run, ref))

    def read_result(self, run: str, ref: TaskRef) -> TaskResult:
        """The TaskResult of an attempt; raises KeyNotFound while it has none."""
        key = keys.result(self.flow, run, ref)
        return TaskResult.from_json(self.storage.read(key), self.storage.uri(key))

    def find_result(self, run: str, ref: TaskRef) -> TaskResult | None:
        """The TaskResult of an attempt, or None while it has none."""
        try:
            return self.read_result(run, ref)
        except KeyNotFound:
            return None

    def find_results(self, run: str, refs: Iterable[TaskRef]) -> list[TaskResult | None]:
        """The results of several attempts, as :meth:`find_result`."""
        return self._each(lambda ref: self.find_result(run, ref), list(refs))

    def read_results(self, run: str, refs: Iterable[TaskRef]) -> list[TaskResult]:
        """The results of several attempts, in the order asked for."""
        return self._each(lambda ref: self.read_result(run, ref), list(refs))

    def write_beat(self, run: str, ref: TaskRef) -> None:
        """Note that an attempt of a task in a gang goes on. Only when this was written counts."""
        key = keys.task_alive(self.flow, run, ref)
        self.storage.write(key, [b"The attempt went on at this time.\n"])

    def last_beats(self, run: str, refs: Iterable[TaskRef]) -> list[float | None]:
        """When attempts were last known to go on; as :meth:`last_alive`."""
        modified = self.storage.modified
        return self._each(lambda ref: modified(keys.task_alive(self.flow, run, ref)), list(refs))

    def _key_at(self, uri: str) -> str:
        """The key of an object that lies here, from its URI."""
        return uri.removeprefix(self.storage.uri(""))

    # -- logs

    def write_log_chunk(self, run: str, ref: TaskRef, number: int, data: bytes) -> None:
        """Store chunk ``number`` of an attempt's log."""
        self.storage.write(keys.log_chunk(self.flow, run, ref, number), [data])

    def read_log_chunk(self, run: str, ref: TaskRef, number: int) -> bytes | None:
        """Chunk ``number`` of an attempt's log, or None if it is not there (yet)."""
        try:
            return self.storage.read(keys.log_chunk(self.flow, run, ref, number))
        except KeyNotFound:
            return None

    def log_chunks(self, run: str, ref: TaskRef, start: int = 0) -> Iterator[bytes]:
        """The chunks of an attempt's log from ``start`` on, as far as there are any."""
        number = start
        while (data := self.read_log_chunk(run, ref, number)) is not None:
            yield data
            number += 1

    # -- cards

    def write_card(self, run: str, ref: TaskRef, name: keys.CardName, html: bytes) -> None:
        """Store a card of an attempt, in place of what it was before."""
        self.storage.write(keys.card(self.flow, run, ref, name), [html])

    def write_card_data(self, run: str, ref: TaskRef, name: keys.CardName, data: bytes) -> None:
        """Store what a card was last told."""
        self.storage.write(keys.card_data(keys.card(self.flow, run, ref, name)), [data])

    def read_card(self, run: str, ref: TaskRef, name: keys.CardName) -> bytes:
        """A card of an attempt; raises KeyNotFound."""
        return self.storage.read(keys.card(self.flow, run, ref, name))

    def read_card_data(self, run: str, ref: TaskRef, name: keys.CardName) -> bytes | None:
        """What a card was last told, or None if it was told nothing."""
        try:
            return self.storage.read(keys.card_data(keys.card(self.flow, run, ref, name)))
        except KeyNotFound:
            return None

    def card_uri(self, run: str, ref: TaskRef, name: keys.CardName) -> str:
        """Where a card lies."""
        return self.storage.uri(keys.card(self.flow, run, ref, name))

    def cards(self, run: str, ref: TaskRef) -> list[keys.CardName]:
        """The cards of an attempt, in the order of its step's decorators."""
        found = map(keys.CardName.parse, self.storage.children(keys.cards(self.flow, run, ref)))
        return sorted(filter(None, found), key=lambda name: name.number)

    # -- what there is

    def runs(self) -> list[str]:
        """Ids of all runs, sorted."""
        return [keys.name_of(name) for name in self.storage.children(keys.runs(self.flow))]

    def steps(self, run: str) -> list[str]:
        """Steps of a run that have tasks, sorted by name."""
        names = self.storage.children(keys.run(self.flow, run))
        # The other names are the run's own documents.
        return [keys.name_of(name) for name in names if "." not in name]

    def attempts(
        self, run: str, step: str | None = None, task: str | None = None
    ) -> dict[str, dict[str, list[TaskRef]]]:
        """The attempts launched in a run: step → task → attempts in order. One listing.

        Args:
            run: Run id.
            step: Only this step.
            task: Only this task of the step.
        """
        prefix = keys.run(self.flow, run) if step is None else keys.step(self.flow, run, step)
        if step is not None and task is not None:
            prefix = keys.task(self.flow, run, step, task)
        start = len(keys.run(self.flow, run))
        found: dict[str, dict[str, list[TaskRef]]] = {}
        # What a resumed run has from its origin was not launched: it has a result only.
        documents = {keys.SPEC_DOCUMENT, keys.RESULT_DOCUMENT}
        for key in self.storage.keys(prefix):
            parts = key[start:].split("/")
            if len(parts) == 4 and parts[3] in documents:
                step_name, task = keys.name_of(parts[0]), keys.name_of(parts[1])
                ref = TaskRef(step_name, task, int(parts[2]))
                refs = found.setdefault(step_name, {}).setdefault(task, [])
                if ref not in refs[-1:]:  # keys are sorted: both of an attempt come together
                    refs.append(ref)
        for tasks in found.values():
            for refs in tasks.values():
                refs.sort(key=lambda ref: ref.attempt)
        return found

    def _each(self, read: Callable[[K], T], names: Sequence[K]) -> list[T]:
        """What ``read`` gives for each of them, in order; in parallel where each takes a request."""
        threads = min(_PARALLEL_READS, len(names)) if self.storage.remote else 1
        return in_parallel(threads, read, names)


def flows(storage: Storage) -> list[str]:
    """Names of the flows that have runs in ``storage``, sorted."""
    return [
        keys.name_of(name)
        for name in storage.children("")
        if storage.children(keys.runs(keys.name_of(name)))
    ]
