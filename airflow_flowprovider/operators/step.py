"""``FlowStepOperator``: one step of a flow as an Airflow task."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.sdk import BaseOperator

from airflow_flowprovider.assets import announce_end
from airflow_flowprovider.config import ProviderConfig
from airflow_flowprovider.links import JOB_KEY, BatchJobLink, CloudWatchLogLink, job_xcom
from airflow_flowprovider.operators.completion import conclude, outcome
from airflow_flowprovider.operators.labels import set_label
from airflow_flowprovider.operators.launching import Launch, Launcher, Tries
from airflow_flowprovider.operators.parents import Lineage, lineage
from airflow_flowprovider.operators.runs import facts, read_run, start_run
from airflow_flowprovider.operators.watching import JobWatch
from airflow_flowprovider.records import push_tags
from flowsdk.aws_batch.logs import LogReader
from flowsdk.aws_batch.state import JobState
from flowsdk.decorators.settings import StepSettings, step_settings
from flowsdk.exception import BatchError, Interrupted
from flowsdk.flow import FlowSpec, graph_of
from flowsdk.planning import task_spec
from flowsdk.spec import TaskRef, TaskSpec

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_flowprovider.hooks.batch import FlowBatchHook
    from airflow_flowprovider.hooks.datastore import FlowDatastoreHook
    from flowsdk.datastore import FlowDatastore
    from flowsdk.graph import FlowGraph, Node


class FlowStepOperator(BaseOperator):
    """Runs one task of a flow's step as an AWS Batch job.

    Purpose:
        One task instance, one job, one result.
    How it works:
        The inputs come from the records that the parents left in XComs. The job is submitted, or
        found if an earlier worker has submitted it; then it is awaited, for a moment here and after
        that in a trigger. The task has succeeded exactly if the result in the datastore says so.
    What it does not do:
        It never loads an artifact and never runs user code.

    Args:
        flow: The flow class.
        step: Name of the step.
        config: The provider's settings, where they have been read already for all of a DAG.
        **kwargs: Of ``BaseOperator``.
    """

    template_fields = ("pathspec", "job")
    template_fields_renderers: ClassVar[dict[str, str]] = {"job": "json"}
    operator_extra_links = (BatchJobLink(), CloudWatchLogLink())
    ui_color = "#e8f1fb"

    def __init__(
        self,
        *,
        flow: type[FlowSpec],
        step: str,
        config: ProviderConfig | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.flow = flow
        self.step = step
        self.pathspec = f"{flow.__name__}/{{{{ run_id }}}}/{step}"
        self.job = _job_overview(self.settings, config or ProviderConfig.load())
        self._job_id: str | None = None
        self._killed = False
        self._executing = False

    @property
    def graph(self) -> FlowGraph:
        """The flow's graph."""
        return graph_of(self.flow)

    @property
    def node(self) -> Node:
        """The step in the graph."""
        return self.graph[self.step]

    @property
    def settings(self) -> StepSettings:
        """What the step's decorators ask for."""
        return step_settings(self.flow, self.step)

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
        return self.datastore.store(self.flow.__name__)

    # -- what Airflow calls

    def execute(self, context: Context) -> list[int] | None:
        """Launch the task's job and wait for it, here or in a trigger."""
        return self._guarded(lambda: self._launch_and_wait(context))

    def resume(self, context: Context, event: Mapping[str, Any]) -> list[int] | None:
        """End the task whose job a trigger has awaited.

        Args:
            context: Airflow's.
            event: Of the trigger. It says all that is needed: ``dag.test`` drops what a deferral
                leaves for the method that takes it up.
        """
        return self._guarded(lambda: self._take_up(context, event))

    def on_kill(self) -> None:
        """Airflow wants the task to end.

        Called in the middle of whatever ``execute`` is doing, which afterwards simply goes on: so
        only a note is taken, which makes ``execute`` end the job and raise. A task whose execution
        has timed out has left ``execute`` already.
        """
        self._killed = True
        if not self._executing:
            self._terminate()

    # -- the parts

    def _guarded(self, work: Callable[[], list[int] | None]) -> list[int] | None:
        """Do the work so that a task that Airflow wants to end never turns green."""
        self._executing = True
        try:
            indices = work()
            self._check_killed()
        except Interrupted:
            self._terminate()
            raise
        finally:
            self._executing = False
        return indices

    def _check_killed(self) -> None:
        if self._killed:
            raise Interrupted(
                f"Airflow asked for the end of this task: it was cleared, marked or timed out, or its "
                f"worker is shutting down. Batch job {self._job_id} is told to stop."
            )

    def _check_wanted(self, ti: Any) -> None:
        """Raise if a user has cleared or marked the task a moment ago.

        Its worker learns that at the next heartbeat, by SIGTERM. A task that defers before would
        leave a job behind that nobody waits for: Airflow refuses the deferral without telling it.
        """
        states = ti.get_task_states(
            dag_id=ti.dag_id,
            task_ids=[ti.task_id],
            run_ids=[ti.run_id],
            map_index=ti.map_index,
        )
        found = [str(state) for state in states.get(ti.run_id, {}).values()]
        self._killed |= bool(found) and found != ["running"]
        self._check_killed()

    def _launch_and_wait(self, context: Context) -> list[int] | None:
        ti: Any = context["ti"]
        origin = lineage(ti, self.graph, self.node, self.store)
        set_label(context, origin.label)
        tries = Tries.of(ti, self.retries or 0)
        spec = self._spec(context, origin, tries)
        self._check_killed()
        launch = self._launcher.launch(spec, tries)
        self._job_id = launch.job_id
        spec = self._announce(ti, spec, launch)
        log = LogReader(self.store, spec.run, spec.ref)
        if launch.job_id is None:
            return self._finish(context, spec, launch, log, None)
        watch = JobWatch(self.batch.jobs, self.store, self._show, self._check_killed)
        seen = watch.watch(launch.job_id, spec, log, self.config.sync_window)
        if not seen.ended:
            self._check_wanted(ti)
            self._defer(launch, spec, log)
        return self._finish(context, spec, launch, log, seen.state)

    def _take_up(self, context: Context, event: Mapping[str, Any]) -> list[int] | None:
        launch = Launch(event["job_id"], TaskRef.parse(event["ref"]))
        self._job_id = launch.job_id
        spec = self.store.read_spec(str(context["run_id"]), launch.ref)
        set_label(context, Lineage(foreach=spec.foreach).label)
        log = LogReader(self.store, spec.run, spec.ref, int(event["next_chunk"]))
        return self._finish(context, spec, launch, log, None)

    def _spec(self, context: Context, origin: Lineage, tries: Tries) -> TaskSpec:
        if self.node.parents:
            run = read_run(self.store, str(context["run_id"]), self.step)
        else:
            run = start_run(self.flow, self.store, context)
            ti: Any = context["ti"]
            push_tags(ti, run)
        return task_spec(
            run,
            self.store.storage.root,
            self.node,
            self.settings,
            parents=origin.parents,
            foreach=origin.foreach,
            attempt=tries.attempt,
            facts=facts(context),
        )

    def _announce(self, ti: Any, spec: TaskSpec, launch: Launch) -> TaskSpec:
        """Say which job it is, in the log and for the links; the spec of the attempt it runs."""
        if launch.job_id is not None:
            self._push_job(ti, launch.job_id, None)
        if not launch.adopted:
            self.log.info("Submitted Batch job %s for %s", launch.job_id, spec.pathspec)
            return spec
        self.log.info(
            "Adopted Batch job %s of attempt %s, which an earlier worker submitted",
            launch.job_id,
            launch.ref.attempt,
        )
        return self.store.read_spec(spec.run, launch.ref)

    def _defer(self, launch: Launch, spec: TaskSpec, log: LogReader) -> NoReturn:
        from airflow_flowprovider.triggers.batch import BatchJobTrigger

        trigger = BatchJobTrigger(
            job_id=str(launch.job_id),
            aws_conn_id=self.config.aws_conn_id,
            region_name=self.config.region_name,
            root=spec.root,
            flow=spec.flow,
            run=spec.run,
            ref=str(spec.ref),
            next_chunk=log.next_chunk,
            deferred_at=time.time(),
            hold=self.config.trigger_hold,
            poll_interval_min=self.config.poll_interval_min,
            poll_interval_max=self.config.poll_interval_max,
        )
        # No timeout: Batch ends a job that takes too long, and a deferral that times out would
        # neither end the job nor come back here.
        self.defer(trigger=trigger, method_name="resume")

    def _finish(
        self,
        context: Context,
        spec: TaskSpec,
        launch: Launch,
        log: LogReader,
        state: JobState | None,
    ) -> list[int] | None:
        ti: Any = context["ti"]
        if launch.job_id is not None:
            if state is None or state.log_stream is None:
                state = self._describe(launch.job_id) or state
            self._push_job(ti, launch.job_id, state.log_stream if state else None)
        result = outcome(self.store, spec, log, self._show, state, self._open_logs)
        tries = Tries.of(ti, self.retries or 0)
        indices = conclude(
            ti,
            self.store,
            result,
            launch.job_id,
            lambda: self._launcher.failures(spec, tries),
            self.settings.retry_times,
        )
        if self.outlets:
            announce_end(context, ti.dag_id, f"{spec.flow}/{spec.run}")
        return indices

    @cached_property
    def _launcher(self) -> Launcher:
        defaults = self.config.batch_defaults
        return Launcher(self.batch.jobs, self.store, self.settings, defaults)

    def _describe(self, job_id: str) -> JobState | None:
        """What AWS says of a job, or that it knows none; None if it does not answer."""
        try:
            return self.batch.jobs.describe([job_id]).get(job_id, JobState(job_id))
        except BatchError as error:
            # The result decides; the description only explains the lack of one.
            self.log.warning("Batch job %s could not be described: %s", job_id, error)
            return None

    def _push_job(self, ti: Any, job_id: str, log_stream: str | None) -> None:
        job = job_xcom(job_id, self.batch.region, self.config.log_group, log_stream)
        ti.xcom_push(key=JOB_KEY, value=job)

    def _open_logs(self) -> tuple[Any, str]:
        return self.batch.log_client(), self.config.log_group

    def _show(self, line: str) -> None:
        self.log.info("%s", line)

    def _terminate(self) -> None:
        if self._job_id is None:
            return
        try:
            self.batch.jobs.terminate(self._job_id, "Airflow ended the task")
        except BatchError as error:
            job_id = self._job_id
            self.log.warning("Batch job %s may go on, terminate it by hand: %s", job_id, error)


def _job_overview(settings: StepSettings, config: ProviderConfig) -> dict[str, Any]:
    """What people look for in the UI; the same at every parse."""
    overview = {
        "image": settings.image or config.image,
        "queue": settings.queue or config.job_queue,
        "vcpu": settings.cpu,
        "memory_mib": settings.memory_mib,
        "gpu": settings.gpu,
        "timeout_seconds": settings.timeout_seconds,
    }
    return {name: value for name, value in overview.items() if value}
