"""Getting the jobs of a task instance: new ones, or those that an earlier worker has left behind.

SubmitJob takes no client token, so that nothing but a look can tell whether a worker that died had
submitted a job already. Jobs therefore bear names from which the next worker finds them, and a look
is taken whenever somebody may have been here before.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from airflow_flowprovider.operators.progress import Progress, Unit
from airflow_flowprovider.records import TaskInstance
from flowsdk.aws_batch.definition import BatchDefaults
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.aws_batch.launching import in_jobs, is_gang, node_id, submit_tasks
from flowsdk.aws_batch.names import attempt_of, job_name, job_prefix, numbers_of, task_prefix
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import FlowDatastore, keys
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError
from flowsdk.planning import PLAIN_TASK
from flowsdk.spec import TaskSpec

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tries:
    """How often a task instance has been tried.

    Attributes:
        attempt: 0-based number of this try; grows for ever.
        generation: The first attempt since the task was last cleared: a cleared task runs afresh,
            so it must neither adopt an earlier job nor take over an earlier result.
        last: Whether Airflow allows no other.
    """

    attempt: int
    generation: int
    last: bool = False

    @classmethod
    def of(cls, ti: TaskInstance, retries: int) -> Tries:
        """Of a task instance whose task has so many ``retries``.

        Airflow counts tries on over clears and raises ``max_tries`` by as many at each.
        """
        attempt = ti.try_number - 1
        generation = max(0, min(attempt, ti.max_tries - retries))
        return cls(attempt, generation, attempt >= ti.max_tries)

    @property
    def first(self) -> bool:
        """Whether nothing has been tried in this generation."""
        return self.attempt == self.generation

    def before(self) -> range:
        """The attempts of this generation before this one."""
        return range(self.generation, self.attempt)

    def all(self) -> range:
        """The attempts of this generation, this one included."""
        return range(self.generation, self.attempt + 1)


@dataclass(frozen=True)
class Job:
    """A job that runs tasks of a task instance.

    Attributes:
        id: In AWS Batch.
        specs: URI of what its tasks are told: of a TaskSpec, or of an object of many with ``#`` and
            the number of the first.
        size: Number of its tasks; of more than one the job is an array or has several nodes.
        gang: Whether its tasks are a gang, each on a node of its own.
    """

    id: str
    specs: str
    size: int = 1
    gang: bool = False

    def to_plain(self) -> dict[str, Any]:
        """As JSON; :meth:`of` reads it back."""
        return asdict(self)

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Job:
        """The inverse of :meth:`to_plain`."""
        return cls(**plain)

    def tasks(self, store: FlowDatastore) -> list[TaskSpec]:
        """The specs of its tasks, in the order of the array or the nodes."""
        uri, _, first = self.specs.rpartition("#")
        if not first.isdecimal():
            return [store.read_spec_at(self.specs)]
        return store.read_specs(uri)[int(first) : int(first) + self.size]

    def child(self, index: int) -> str:
        """The id of the job of one task."""
        if self.gang:
            return node_id(self.id, index)
        return self.id if self.size == 1 else f"{self.id}:{index}"


class Launcher:
    """Launches the tasks of one task instance.

    Args:
        jobs: AWS Batch.
        store: The flow's datastore.
        settings: What the step's decorators ask for.
        defaults: What is configured.
        part: Name of the task instance within its step: its map index, ``0`` if it has none.
        tries: How often it has been tried.

    Attributes:
        is_new: Whether nobody has begun with this try before; known after :meth:`take_over`.
    """

    def __init__(
        self,
        jobs: BatchJobs,
        store: FlowDatastore,
        settings: StepSettings,
        defaults: BatchDefaults,
        part: str,
        tries: Tries,
    ) -> None:
        self._jobs = jobs
        self._store = store
        self._settings = settings
        self._defaults = defaults
        self._part = part
        self._tries = tries
        self._begun = False
        self.is_new = False

    def take_over(self, progress: Progress) -> list[Job]:
        """The jobs of this generation that are still at work; those of earlier ones are ended.

        To be called before the first launch of a try.

        Args:
            progress: Of the task instance, as it has been seen.
        """
        pending = progress.pending()
        if not pending:
            return []
        self.is_new = self._tries.first and self._begin(progress)
        if self.is_new and not self._tries.generation:
            return []
        return self._find(progress.specs(pending[0])[0], progress)

    def launch(
        self, progress: Progress, round_number: int, at_work: Sequence[Job] = ()
    ) -> list[Job]:
        """See to it that there is a job for all that is pending and has not failed in this try.

        Args:
            progress: Of the task instance, as it has been seen.
            round_number: How often something was launched before in this try: tasks that loop to
                themselves need several rounds.
            at_work: Jobs that an earlier worker has left behind.

        Returns:
            The jobs to wait for: of those at work all that may still bring results, and new ones.

        Raises:
            BatchError: Something is not configured, or AWS refuses a job. If this is the last try, no
                job goes on that nobody would wait for.
        """
        # A gang is in one job: one of its tasks stands for all.
        todo = {progress.specs(unit)[0].task: unit for unit in progress.pending()}
        jobs: list[Job] = []
        for job in at_work:
            awaited = [spec.task for spec in job.tasks(self._store) if _is_awaited(spec, todo)]
            jobs += [job] if awaited else []
            for task in awaited:
                del todo[task]
        try:
            for part in self._parts(progress, list(todo.values()), round_number):
                jobs.append(self._submit(*part))
        except BaseException:
            if self._tries.last:  # a next try would find them
                self._end([job.id for job in jobs], "Another job of the task cannot be submitted")
            raise
        return jobs

    def _parts(
        self, progress: Progress, pending: Sequence[Unit], round_number: int
    ) -> Iterator[tuple[Sequence[TaskSpec], str, StepSettings, tuple[int, int]]]:
        """The jobs to submit: specs, where they lie, what they ask for, and which job of the try it is."""
        attempt = self._tries.attempt
        pending = [unit for unit in pending if not (unit.failed and unit.failed.attempt == attempt)]
        if not pending:
            return
        specs = [spec for unit in pending for spec in progress.specs(unit)]
        ref = specs[0].ref
        # They are one job: what one of them lacks, all get.
        settings = replace(self._settings, ooms=max(unit.ooms for unit in pending))
        if is_plain(progress):
            self._store.write_spec(specs[0])
            uri = self._store.spec_uri(specs[0].run, ref)
            yield specs, uri, settings, (round_number, 0)
            return
        # Never another's object: arrays that are out read theirs by position.
        while not self._begun and not self._store.write_specs(self._set_name(round_number), specs):
            round_number += 1
        self._begun = False
        uri = self._store.specs_uri(specs[0].run, self._set_name(round_number), ref)
        for number, part in enumerate(in_jobs(specs)):
            own = specs[part.start : part.stop]
            yield own, f"{uri}#{part.start}", settings, (round_number, number)

    def _submit(
        self,
        specs: Sequence[TaskSpec],
        uri: str,
        settings: StepSettings,
        place: tuple[int, int],
    ) -> Job:
        spec, tries = specs[0], self._tries
        identity = (spec.flow, spec.run, spec.step, self._part)
        name = job_name(*identity, tries.attempt, tries.generation, place)
        job_id = submit_tasks(self._jobs, specs, uri, name, settings, self._defaults)
        return Job(job_id, uri, len(specs), is_gang(specs))

    def _begin(self, progress: Progress) -> bool:
        """Note that this try has begun; whether nobody has noted it before."""
        specs = [spec for unit in progress.pending() for spec in progress.specs(unit)]
        if is_plain(progress):
            return self._store.write_spec(specs[0])
        self._begun = self._store.write_specs(self._set_name(0), specs)
        return self._begun

    def _set_name(self, round_number: int) -> str:
        return keys.set_name(self._part, self._tries.generation, round_number)

    @property
    def _queue(self) -> str | None:
        return self._defaults.queue_of(self._settings)

    def _end(self, job_ids: Sequence[str], reason: str) -> None:
        for job_id in job_ids:
            try:
                self._jobs.terminate(job_id, reason)
            except BatchError as error:
                _log.warning("Batch job %s, of no use any more, may go on: %s", job_id, error)

    def _find(self, spec: TaskSpec, progress: Progress) -> list[Job]:
        """The jobs of this generation that may still bring results; those of earlier ones are ended."""
        if not self._queue:
            return []
        identity = (spec.flow, spec.run, spec.step, self._part)
        prefix = job_prefix(*identity, self._tries.generation)
        look_for = task_prefix(*identity) if self._tries.generation else prefix
        active = [state for state in self._jobs.find(self._queue, look_for) if state.active]
        self._end_predecessors([s for s in active if not s.name.startswith(prefix)], look_for)
        found = {
            state.id: numbers
            for state in active
            if (numbers := numbers_of(state.name, prefix)) is not None
        }
        # A list does not say which jobs have been asked to stop; those are as good as dead.
        states = self._jobs.describe(found)
        return [
            self._adopted(job_id, state, spec, found[job_id], progress)
            for job_id, state in states.items()
            if state.active and not state.stopping
        ]

    def _end_predecessors(self, others: Sequence[JobState], prefix: str) -> None:
        """End jobs of other generations that are still there.

        Mostly there are none. But a trigger that no triggerer had taken up yet, when a user cleared
        its task, could not end its job. Each try since then does, for the first may die before it has
        – but only of attempts before its own: a worker that Airflow has given up may still be alive.
        """
        attempts = {state.id: attempt_of(state.name, prefix) for state in others}
        superseded = [i for i, n in attempts.items() if n is not None and n < self._tries.attempt]
        self._end(superseded, "The task was cleared in Airflow")

    def _adopted(
        self,
        job_id: str,
        state: JobState,
        spec: TaskSpec,
        numbers: tuple[int, ...],
        progress: Progress,
    ) -> Job:
        attempt, round_number, number = (*numbers, 0, 0)[:3]
        ref = replace(spec.ref, attempt=attempt)
        if is_plain(progress):
            # Of a step that loops to itself, any iteration may be at work.
            ref = replace(ref, task=state.tags.get("task", ref.task))
            return Job(job_id, self._store.spec_uri(spec.run, ref))
        uri = self._store.specs_uri(spec.run, self._set_name(round_number), ref)
        # Not from AWS, which counts the children of an array only once it has begun with it.
        specs = self._store.read_specs(uri)
        part = in_jobs(specs)[number]
        own = specs[part.start : part.stop]
        return Job(job_id, f"{uri}#{part.start}", len(own), is_gang(own))


def _is_awaited(spec: TaskSpec, todo: Mapping[str, Unit]) -> bool:
    """Whether what becomes of a task that a job is at work on is still to come, and wanted."""
    unit = todo.get(spec.task)
    return unit is not None and not (unit.failed and unit.failed.attempt == spec.attempt)


def is_plain(progress: Progress) -> bool:
    """Whether a task instance is one task: then the task's spec lies where a laptop's would."""
    return len(progress.units) == 1 and len(progress.units[0].tasks) == 1


def part_of(ti: TaskInstance) -> str:
    """Name of a task instance within its step."""
    mapped = ti.map_index is not None and ti.map_index >= 0
    return str(ti.map_index) if mapped else PLAIN_TASK
