"""``FlowStepOperator``: one step of a flow as an Airflow task."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.sdk import BaseOperator

from airflow_flowprovider.assets import announce_end
from airflow_flowprovider.compat import AirflowSkipException, has_listeners, triggers_push_xcoms
from airflow_flowprovider.config import ProviderConfig
from airflow_flowprovider.links import (
    JOB_KEY,
    BatchJobLink,
    CloudWatchLogLink,
    job_url,
    job_xcom,
)
from airflow_flowprovider.mapping import FlowMapping
from airflow_flowprovider.operators.completion import (
    failure,
    record_failure,
    record_success,
    settle_jobs,
    tell_failures,
)
from airflow_flowprovider.operators.guard import JobGuard
from airflow_flowprovider.operators.labels import label_of, set_label
from airflow_flowprovider.operators.launching import Job, Launcher, Tries, is_plain, part_of
from airflow_flowprovider.operators.parents import Parents
from airflow_flowprovider.operators.progress import Progress
from airflow_flowprovider.operators.reuse import Resumption
from airflow_flowprovider.operators.runs import facts, read_run, start_run
from airflow_flowprovider.operators.watching import JobWatch
from airflow_flowprovider.project import deployed_name
from airflow_flowprovider.records import push_tags
from flowsdk.aws_batch.logs import LogReader
from flowsdk.aws_batch.state import JobState
from flowsdk.decorators.settings import StepSettings, step_settings
from flowsdk.exception import BatchError
from flowsdk.flow import FlowSpec, graph_of
from flowsdk.planning import task_spec
from flowsdk.spec import RunSpec, TaskSpec
from flowsdk.succession import Planned, looked_at

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_flowprovider.hooks.batch import FlowBatchHook
    from airflow_flowprovider.hooks.datastore import FlowDatastoreHook
    from flowsdk.datastore import FlowDatastore
    from flowsdk.graph import FlowGraph, Node


class FlowStepOperator(BaseOperator):
    """Runs tasks of a flow's step as AWS Batch jobs.

    Purpose:
        Launch the tasks that one task instance stands for, and end as they do. Mostly that is one
        task; inside a mapped foreach of foreaches, or where arrays are asked for, it may be many.
    How it works:
        The inputs come from the records that the parents left in XComs. Jobs are submitted, or found
        if an earlier worker has submitted them; then they are awaited, for a moment here and after
        that in a trigger. A task has succeeded exactly if the result in the datastore says so; one
        that has is not run again when the others are.
    What it does not do:
        It never loads an artifact and never runs user code.

    Args:
        flow: The flow class.
        step: Name of the step.
        config: The provider's settings, where they have been read already for all of a DAG.
        settings: What the step's decorators ask for, where that has been read already.
        flow_name: What the flow is called here, the name under which its runs are stored; by default
            that of its own DAG.
        code: Of a start step, what stands for the flow's code: Airflow makes a new version of the DAG
            when it changes.
        parameters: Of a start step, values of the flow's parameters that win over the DAG's.
        **kwargs: Of ``BaseOperator``.
    """

    template_fields = ("pathspec", "job", "code", "parameters")
    template_fields_renderers: ClassVar[dict[str, str]] = {"job": "json"}
    operator_extra_links = (BatchJobLink(), CloudWatchLogLink())
    ui_color = "#e8f1fb"

    def __init__(
        self,
        *,
        flow: type[FlowSpec],
        step: str,
        config: ProviderConfig | None = None,
        settings: StepSettings | None = None,
        flow_name: str | None = None,
        code: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.flow = flow
        self.step = step
        self.settings = settings or step_settings(flow, step)
        self.flow_name = flow_name or deployed_name(flow, config)
        self.code = code
        self.parameters = parameters
        self.pathspec = f"{self.flow_name}/{{{{ run_id }}}}/{step}"
        self.job = _job_overview(self.settings, config or ProviderConfig.load())

    @property
    def graph(self) -> FlowGraph:
        """The flow's graph."""
        return graph_of(self.flow)

    @property
    def node(self) -> Node:
        """The step in the graph."""
        return self.graph[self.step]

    @cached_property
    def config(self) -> ProviderConfig:
        """The provider's settings where the task runs."""
        return ProviderConfig.load()

    @cached_property
    def batch(self) -> FlowBatchHook:
        """AWS Batch."""
        from airflow_flowprovider.hooks.batch import FlowBatchHook

        return FlowBatchHook.configured()

    @cached_property
    def datastore(self) -> FlowDatastoreHook:
        """Where the flow's data lies."""
        from airflow_flowprovider.hooks.datastore import FlowDatastoreHook

        return FlowDatastoreHook.configured()

    @cached_property
    def store(self) -> FlowDatastore:
        """The flow's part of it."""
        return self.datastore.store(self.flow_name)

    @cached_property
    def _guard(self) -> JobGuard:
        return JobGuard(lambda: self.batch.jobs, self.log)

    # -- what Airflow calls

    def execute(self, context: Context) -> list[int] | None:
        """Launch the jobs of the task instance and wait for them, here or in a trigger."""
        with self._guard.over(context["ti"]):
            return self._launch_and_wait(context)

    def resume(self, context: Context, event: Mapping[str, Any]) -> list[int] | None:
        """Go on with the task instance whose jobs a trigger has awaited.

        Args:
            context: Airflow's.
            event: Of the trigger. It says all that is needed: ``dag.test`` drops what a deferral
                leaves for the method that takes it up.
        """
        with self._guard.over(context["ti"]):
            return self._take_up(context, event)

    def on_kill(self) -> None:
        """Airflow wants the process to end."""
        self._guard.kill()

    # -- the parts

    def _launch_and_wait(self, context: Context) -> list[int] | None:
        if looked_at(self.node):
            run = self._read_run(context)
        else:
            run = start_run(self.flow, self.store, context, self.parameters)
            ti: Any = context["ti"]
            push_tags(ti, run)
        work = self._work(context, run)
        self._guard.check()
        self._reuse(context, work)
        jobs = work.launcher.take_over(work.progress)
        if jobs:
            self.log.info("Adopted %s, which an earlier worker submitted", self._named(jobs))
        if not work.launcher.is_new:
            work.progress.look(work.tries.all())
        return self._go_on(context, work, jobs, round_number=0)

    def _reuse(self, context: Context, work: _Work) -> None:
        """Let tasks have the results of the run that this one resumes; a cleared task is to run."""
        resumption = Resumption.of(self.flow, context) if work.tries.generation == 0 else None
        if resumption is None:
            return
        # A worker before may have died in the middle of it, or after it had launched the others.
        work.progress.look(work.tries.before())
        count = resumption.reuse(self.store, self.graph, self.node, work.progress)
        self.log.info("Results of run %s that are used again: %d", resumption.run, count)

    def _take_up(self, context: Context, event: Mapping[str, Any]) -> list[int] | None:
        work = self._work(context, self._read_run(context))
        jobs = [Job.of(plain) for plain in event["jobs"]]
        self._guard.job_ids = [job.id for job in jobs]
        log = self._log_of(jobs, work, int(event["next_chunk"]))
        self._conclude(context, work, jobs, log, event["told"])
        return self._go_on(context, work, [], int(event["round"]) + 1)

    def _read_run(self, context: Context) -> RunSpec:
        ti: Any = context["ti"]
        return read_run(self.store, ti, self.node, self.graph)

    def _work(self, context: Context, run: RunSpec) -> _Work:
        """The tasks of this task instance, from the records of the steps before it."""
        ti: Any = context["ti"]
        mapping = FlowMapping(self.flow)
        tasks = Parents(ti, self.graph, mapping, self.node, self.store).tasks()
        mapped = mapping.opener_of(self.step) is not None
        set_label(context, label_of(tasks) if mapped else "")
        if not tasks:
            raise AirflowSkipException(f"No task leads to step {self.step!r} in this run.")
        tries = Tries.of(ti, self.retries or 0)
        make_spec = partial(self._spec, run, tries.attempt, facts(context))
        progress = Progress(self.store, self.node, tasks, make_spec, last=tries.last)
        part, defaults = part_of(ti), self.config.batch_defaults
        launcher = Launcher(self.batch.jobs, self.store, self.settings, defaults, part, tries)
        mapped_over = self.step in mapping.groups and mapping.groups[self.step].mapped
        run_id = str(context["run_id"])
        return _Work(run_id, progress, tries, launcher, part, mapped_over)

    def _spec(
        self, run: RunSpec, attempt: int, known: Mapping[str, Any], task: Planned, iteration: int
    ) -> TaskSpec:
        return task_spec(
            run,
            self.store.storage.root,
            self.node,
            self.settings,
            parents=task.parents,
            foreach=task.foreach,
            attempt=attempt,
            facts=known,
            iteration=iteration,
        )

    def _go_on(
        self, context: Context, work: _Work, jobs: Sequence[Job], round_number: int
    ) -> list[int] | None:
        """Await jobs and launch what is still pending, until nothing is."""
        while True:
            if not work.progress.pending():
                return self._succeed(context, work)
            adopted, jobs = jobs, work.launcher.launch(work.progress, round_number, jobs)
            if submitted := [job for job in jobs if job not in adopted]:
                self.log.info("Submitted %s", self._named(submitted))
            if not jobs:  # an earlier worker had this very try, and all of it has failed
                self._raise_failure(context, work)
            self._guard.job_ids = [job.id for job in jobs]
            facts_of_job = self._push_job(context["ti"], jobs[0].id, None)
            log = self._log_of(jobs, work, 0)
            watch = JobWatch(self.batch.jobs, self.store, self._show, self._guard.check)
            single = None if log is None else (jobs[0].tasks(self.store)[0], log)
            if not watch.watch(jobs, single, self.config.sync_window):
                self._guard.check_wanted(context["ti"])
                self._defer(work, jobs, round_number, log, facts_of_job)
            self._conclude(context, work, jobs, log)
            jobs, round_number = [], round_number + 1

    def _log_of(self, jobs: Sequence[Job], work: _Work, next_chunk: int) -> LogReader | None:
        """The log that is shown line by line: where a task instance is one task."""
        if not is_plain(work.progress):
            return None
        (spec,) = jobs[0].tasks(self.store)
        return LogReader(self.store, spec.run, spec.ref, next_chunk)

    def _defer(
        self,
        work: _Work,
        jobs: Sequence[Job],
        round_number: int,
        log: LogReader | None,
        job: dict[str, Any],
    ) -> NoReturn:
        from airflow_flowprovider.triggers.batch import BatchJobTrigger

        spec = jobs[0].tasks(self.store)[0] if log else None
        trigger = BatchJobTrigger(
            jobs=[job.to_plain() for job in jobs],
            aws_conn_id=self.config.aws_conn_id,
            region_name=self.config.region_name,
            root=self.store.storage.root,
            flow=self.store.flow,
            run=work.run_id,
            ref=str(spec.ref) if spec else None,
            next_chunk=log.next_chunk if log else 0,
            round_number=round_number,
            job=job,
            ends_here=self._may_end_in_trigger(work),
            deferred_at=time.time(),
            hold=self.config.trigger_hold,
            poll_interval_min=self.config.poll_interval_min,
            poll_interval_max=self.config.poll_interval_max,
        )
        # No timeout: Batch ends a job that takes too long, and a deferral that times out would
        # neither end the job nor come back here.
        self.defer(trigger=trigger, method_name="resume")

    def _may_end_in_trigger(self, work: _Work) -> bool:
        """Whether the success of the task takes nothing that only a worker can do.

        These are: the events of assets, the length that a group is mapped over, another round of a
        loop, the record of a set, and hooks and listeners, which Airflow calls in a worker alone.
        """
        return (
            is_plain(work.progress)
            and not self.outlets
            and not work.mapped_over
            and self.step not in self.node.next
            and not (self.on_success_callback or self._post_execute_hook)
            and not has_listeners()
            and triggers_push_xcoms()
        )

    def _conclude(
        self,
        context: Context,
        work: _Work,
        jobs: Sequence[Job],
        log: LogReader | None,
        told: Collection[str] = (),
    ) -> None:
        """Take in how jobs that have ended went; raise if the task instance has failed by that."""
        ti: Any = context["ti"]
        state = self._describe(jobs[0].id) if log else None
        for line in log.new_lines() if log else ():
            self._show(line.text)
        self._push_job(ti, jobs[0].id, state.log_stream if state else None)
        work.progress.look(work.tries.all())
        if work.progress.pending():
            settle_jobs(
                self.store, self.batch.jobs, jobs, self._show, self._open_logs, self._guard.check
            )
            work.progress.look(work.tries.all())
        self._guard.job_ids = ()
        self._raise_failure(context, work, told)

    def _raise_failure(self, context: Context, work: _Work, told: Collection[str] = ()) -> None:
        """End the task instance if it has failed by what is known of its tasks."""
        error = failure(work.progress, self.settings)
        if error is None:
            return
        if not is_plain(work.progress):
            tell_failures(self.store, work.progress, self._show, told)
        ti: Any = context["ti"]
        attempt, why = work.tries.attempt, str(error)
        record_failure(ti, self.store, work.progress, work.part, attempt, why)
        raise error

    def _succeed(self, context: Context, work: _Work) -> list[int] | None:
        """Leave the record; of a foreach that is mapped, the indices that it is mapped over."""
        if self.outlets:
            announce_end(context, self.flow_name, f"{self.store.flow}/{work.run_id}")
        ti: Any = context["ti"]
        chunks = record_success(
            ti,
            self.store,
            work.progress,
            work.part,
            work.tries.attempt,
            mapped=work.mapped_over,
        )
        return list(range(chunks)) if work.mapped_over else None

    def _describe(self, job_id: str) -> JobState | None:
        """What AWS says of a job; None if it does not answer."""
        try:
            return self.batch.jobs.describe([job_id]).get(job_id)
        except BatchError as error:
            # Only for people: the results decide.
            self.log.warning("Batch job %s could not be described: %s", job_id, error)
            return None

    def _push_job(self, ti: Any, job_id: str, log_stream: str | None) -> dict[str, Any]:
        job = job_xcom(job_id, self.batch.region, self.config.log_group, log_stream)
        ti.xcom_push(key=JOB_KEY, value=job)
        return job

    def _named(self, jobs: Sequence[Job]) -> str:
        """Jobs for the log: of several, each has its link here, and only the first a button."""
        names = (f"{job.id} ({job.size} tasks)" if job.size > 1 else job.id for job in jobs)
        if len(jobs) > 1:
            urls = (job_url(self.batch.region, job.id) for job in jobs)
            names = (f"{name} {url}" for name, url in zip(names, urls, strict=True))
        return f"Batch job{'s' * (len(jobs) > 1)} {', '.join(names)}"

    def _open_logs(self) -> tuple[Any, str]:
        return self.batch.log_client(), self.config.log_group

    def _show(self, line: str) -> None:
        self.log.info("%s", line)


@dataclass(frozen=True)
class _Work:
    """What a task instance has to do.

    Attributes:
        run_id: Run id.
        progress: Its tasks.
        tries: How often it has been tried.
        launcher: Launches them.
        part: Its name within the step.
        mapped_over: Whether Airflow maps what follows over its splits.
    """

    run_id: str
    progress: Progress
    tries: Tries
    launcher: Launcher
    part: str
    mapped_over: bool


def _job_overview(settings: StepSettings, config: ProviderConfig) -> dict[str, Any]:
    """What people look for in the UI; the same at every parse."""
    overview = {
        "image": settings.image or config.image,
        "queue": config.batch_defaults.queue_of(settings),
        "vcpu": settings.cpu,
        "memory_mib": settings.memory_mib,
        "gpu": settings.gpu,
        "timeout_seconds": settings.timeout_seconds,
    }
    return {name: value for name, value in overview.items() if value}
