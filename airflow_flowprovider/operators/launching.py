"""Getting the one job of a task: a new one, or the one that an earlier worker has left behind.

SubmitJob takes no client token, so that nothing but a look can tell whether a worker that died had
submitted a job already. Jobs therefore bear names from which the next worker finds them, and a look
is taken whenever somebody may have been here before.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from airflow_flowprovider.records import TaskInstance
from flowsdk.aws_batch.definition import BatchDefaults
from flowsdk.aws_batch.jobs import BatchJobs
from flowsdk.aws_batch.launching import submit_task
from flowsdk.aws_batch.names import attempt_of, job_prefix, task_prefix
from flowsdk.aws_batch.state import JobState
from flowsdk.datastore import FlowDatastore
from flowsdk.decorators.settings import StepSettings
from flowsdk.exception import BatchError
from flowsdk.spec import TaskRef, TaskResult, TaskSpec

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tries:
    """How often a task instance has been tried.

    Attributes:
        attempt: 0-based number of this try; grows for ever.
        generation: The first attempt since the task was last cleared: a cleared task runs afresh,
            so it must neither adopt an earlier job nor take over an earlier result.
    """

    attempt: int
    generation: int

    @classmethod
    def of(cls, ti: TaskInstance, retries: int) -> Tries:
        """Of a task instance whose task has so many ``retries``.

        Airflow counts tries on over clears and raises ``max_tries`` by as many at each.
        """
        attempt = ti.try_number - 1
        return cls(attempt, max(0, min(attempt, ti.max_tries - retries)))

    @property
    def first(self) -> bool:
        """Whether nothing has been tried in this generation."""
        return self.attempt == self.generation

    def earlier(self) -> range:
        """The attempts of this generation before this one."""
        return range(self.generation, self.attempt)


@dataclass(frozen=True)
class Launch:
    """The job that stands for a task instance.

    Attributes:
        job_id: In AWS Batch; None if an earlier attempt has succeeded and its job does not matter.
        ref: The attempt whose result counts: an adopted job writes under its own number.
        adopted: Whether an earlier worker submitted it.
    """

    job_id: str | None
    ref: TaskRef
    adopted: bool = False


class Launcher:
    """Launches the tasks of one step.

    Args:
        jobs: AWS Batch.
        store: The flow's datastore.
        settings: What the step's decorators ask for.
        defaults: What is configured.
    """

    def __init__(
        self,
        jobs: BatchJobs,
        store: FlowDatastore,
        settings: StepSettings,
        defaults: BatchDefaults,
    ) -> None:
        self._jobs = jobs
        self._store = store
        self._settings = settings
        self._defaults = defaults

    def launch(self, spec: TaskSpec, tries: Tries) -> Launch:
        """Adopt what is there, else submit.

        Args:
            spec: This attempt; its ``retry_count`` is set here.
            tries: Which attempt of which generation it is.

        Raises:
            BatchError: Something is not configured, or AWS refuses the job.
        """
        earlier = self._results(spec, tries.earlier())
        for result in earlier:
            if result.succeeded:
                return Launch(result.batch_job, result.ref, adopted=True)
        if tries.first and tries.generation:
            self._end_predecessors(spec, tries)
        spec = replace(spec, retry_count=user_failures(earlier))
        unseen = self._store.write_spec(spec)
        if not (unseen and tries.first):
            found = self._find(spec, tries)
            if found is not None:
                return found
        job_id = submit_task(
            self._jobs, self._store, spec, self._settings, self._defaults, tries.generation
        )
        return Launch(job_id, spec.ref)

    def failures(self, spec: TaskSpec, tries: Tries) -> int:
        """How many attempts of this generation, this one included, the user's code has failed."""
        attempts = range(tries.generation, tries.attempt + 1)
        return user_failures(self._results(spec, attempts))

    def _end_predecessors(self, spec: TaskSpec, tries: Tries) -> None:
        """End jobs from before the task was cleared that are still there.

        Mostly there are none. But a trigger that no triggerer had taken up yet, when a user cleared
        its task, could not end its job.
        """
        queue = self._settings.queue or self._defaults.queue
        if not queue:
            return
        own = job_prefix(spec.flow, spec.run, spec.step, spec.task, tries.generation)
        for state in self._jobs.find(queue, task_prefix(spec.flow, spec.run, spec.step, spec.task)):
            if state.active and not state.name.startswith(own):
                try:
                    self._jobs.terminate(state.id, "The task was cleared in Airflow")
                except BatchError as error:
                    _log.warning("Batch job %s, superseded, may go on: %s", state.id, error)

    def _find(self, spec: TaskSpec, tries: Tries) -> Launch | None:
        """A job of this generation that may still bring a result, or has."""
        queue = self._settings.queue or self._defaults.queue
        if not queue:
            return None
        prefix = job_prefix(spec.flow, spec.run, spec.step, spec.task, tries.generation)
        attempts = {
            state.id: attempt
            for state in self._jobs.find(queue, prefix)
            if state.active or state.succeeded
            if (attempt := attempt_of(state.name, prefix)) is not None
        }
        # A list does not say which jobs have been asked to stop; those are as good as dead.
        for job_id, state in self._jobs.describe(attempts).items():
            ref = replace(spec.ref, attempt=attempts[job_id])
            if self._is_worth_adopting(spec, ref, state):
                return Launch(job_id, ref, adopted=True)
        return None

    def _is_worth_adopting(self, spec: TaskSpec, ref: TaskRef, state: JobState) -> bool:
        if state.stopping:
            return False
        result = self._store.find_result(spec.run, ref)
        if result is None:
            return state.active
        return result.succeeded

    def _results(self, spec: TaskSpec, attempts: Sequence[int]) -> list[TaskResult]:
        refs = [replace(spec.ref, attempt=attempt) for attempt in attempts]
        found = (self._store.find_result(spec.run, ref) for ref in refs)
        return [result for result in found if result is not None]


def user_failures(results: Sequence[TaskResult]) -> int:
    """How many of the results are failures of the user's own code."""
    return sum(1 for result in results if result.error and result.error.kind == "user")
