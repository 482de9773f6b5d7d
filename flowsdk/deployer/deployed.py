"""``DeployedFlow``: a flow in Airflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timezone
from typing import Any, ClassVar

from flowsdk.decorators.dates import moment
from flowsdk.deployer.dags_folder import Changes, DagsFolder, find_dags_folder
from flowsdk.deployer.server import AirflowServer, require_url
from flowsdk.deployer.triggered import TriggeredRun, airflow_states
from flowsdk.exception import DeploymentError, UsageError, did_you_mean
from flowsdk.origin import CONF_KEY
from flowsdk.runner.commands import as_json
from flowsdk.spec import flow_class


class DeployedFlow:
    """A flow that is deployed to Airflow.

    It is made by ``Deployer("flow.py").airflow().create()``, and for a flow that was deployed at
    another time, or somebody else, by :meth:`from_deployment`.

    Args:
        name: Of the DAG.
        server: The Airflow.
        dags_folder: Where its files were put; by default what FLOWSDK_DAGS_FOLDER or Airflow's own
            variables say.
    """

    TYPE: ClassVar[str] = "airflow"

    def __init__(self, name: str, server: AirflowServer, dags_folder: str | None = None) -> None:
        self.name = name
        self._server = server
        self._dags_folder = dags_folder

    @classmethod
    def from_deployment(
        cls,
        identifier: str,
        metadata: str | None = None,
        impl: str = TYPE,
        dags_folder: str | None = None,
    ) -> DeployedFlow:
        """The flow of that name.

        Args:
            identifier: Name of the DAG.
            metadata: ``airflow@http://host:port``; by default FLOWSDK_AIRFLOW_URL says where
                Airflow is, or FLOWSDK_METADATA.
            impl: ``airflow``; there is no other scheduler.
            dags_folder: As of the class.

        Raises:
            NotFound: Airflow has no such flow.
            UsageError: Nothing says where Airflow is.
        """
        server = _server(metadata, impl)
        server.require_dag(identifier)
        return cls(identifier, server, dags_folder)

    @classmethod
    def list_deployed_flows(
        cls, flow_name: str | None = None, metadata: str | None = None, impl: str = TYPE
    ) -> Iterator[DeployedFlow]:
        """All flows that an Airflow has.

        Args:
            flow_name: Only those of this flow.
            metadata: As of :meth:`from_deployment`.
            impl: As of :meth:`from_deployment`.
        """
        server = _server(metadata, impl)
        for name in server.flow_names():
            if flow_name in (None, name, flow_class(name)):
                yield cls(name, server)

    @classmethod
    def get_triggered_run(
        cls, identifier: str, run_id: str, metadata: str | None = None, impl: str = TYPE
    ) -> TriggeredRun:
        """A run of a deployed flow, whoever has triggered it.

        Args:
            identifier: Name of the DAG.
            run_id: Of the run.
            metadata: As of :meth:`from_deployment`.
            impl: As of :meth:`from_deployment`.

        Raises:
            NotFound: There is none.
        """
        server = _server(metadata, impl)
        server.require_run(identifier, run_id)
        return TriggeredRun(identifier, run_id, server)

    @property
    def flow_name(self) -> str:
        """Name of the flow's class; the DAG's name but for the project and branch."""
        return flow_class(self.name)

    @property
    def metadata(self) -> str:
        """What ``metadata()`` of the client takes to read the flow's runs."""
        return self._server.metadata

    @property
    def production_token(self) -> None:
        """None: who may do what is decided by Airflow's permissions, not by tokens."""

    @property
    def is_paused(self) -> bool:
        """Whether Airflow starts no task of it."""
        return bool(self._server.require_dag(self.name)["is_paused"])

    @property
    def status(self) -> str:
        """``ACTIVE``, ``PAUSED``, or ``BROKEN`` if its file cannot be imported any more."""
        try:
            dag = self._server.require_dag(self.name)
        except DeploymentError:
            return "BROKEN"
        if self._server.import_errors(str(dag["relative_fileloc"])):
            return "BROKEN"  # Airflow has met the error, and will soon let go of the DAG
        return "PAUSED" if dag["is_paused"] else "ACTIVE"

    def pause(self) -> None:
        """Start no task of it from now on, neither by its schedule nor for runs that exist."""
        self._server.pause(self.name, True)

    def unpause(self) -> None:
        """Let it run again."""
        self._server.pause(self.name, False)

    def trigger(self, **parameters: Any) -> TriggeredRun:
        """Start a run.

        Args:
            parameters: Values of the flow's parameters, with ``_`` for ``-``.

        Raises:
            UsageError: The flow has no such parameter, Airflow refuses a value, or it is paused.
        """
        return self.trigger_as(None, parameters)

    def trigger_as(self, run_id: str | None, parameters: Mapping[str, Any]) -> TriggeredRun:
        """As :meth:`trigger`.

        Args:
            run_id: Id of the run; by default one is made.
            parameters: Values of the flow's parameters by name.
        """
        self.require_active()
        run = self._server.trigger(self.name, self._conf(parameters), run_id)
        return TriggeredRun(self.name, run["dag_run_id"], self._server)

    def backfill(
        self,
        from_date: str | date,
        to_date: str | date,
        *,
        parameters: Mapping[str, Any] | None = None,
        max_active_runs: int = 10,
        reprocess: str = "none",
        backwards: bool = False,
    ) -> int:
        """Start the runs that the flow's schedule would have started in a range of dates.

        Args:
            from_date: Begin of the range, a date or time, also as ISO 8601 text; UTC if it names no
                time zone.
            to_date: End of the range, inclusive; a date means its whole day.
            parameters: Values of the flow's parameters, for all of the runs.
            max_active_runs: How many runs at once.
            reprocess: Which runs that exist already to run again: ``none``, ``failed`` or
                ``completed``.
            backwards: Begin with the newest.

        Returns:
            The id of Airflow's backfill.

        Raises:
            UsageError: A date or a parameter is none, Airflow refuses it, or the flow is paused.
        """
        self.require_active()
        body = {
            **self._range(from_date, to_date),
            "max_active_runs": max_active_runs,
            "reprocess_behavior": reprocess,
            "run_backwards": backwards,
            "dag_run_conf": self._conf(parameters or {}),
        }
        return int(self._server.backfill(body, dry_run=False)["id"])

    def backfill_dates(self, from_date: str | date, to_date: str | date) -> list[str]:
        """The logical dates, as ISO 8601 text, of the runs that :meth:`backfill` would start."""
        answer = self._server.backfill(self._range(from_date, to_date), dry_run=True)
        return [each["logical_date"] for each in answer["backfills"]]

    def _range(self, from_date: str | date, to_date: str | date) -> dict[str, Any]:
        try:
            begin = moment(from_date, timezone.utc)
            end = moment(to_date, timezone.utc, ends=True)
        except ValueError as error:
            raise UsageError(
                f"Backfill of flow {self.name}: found {from_date!r} to {to_date!r}, expected dates "
                f"such as '2026-11-21' or '2026-11-21T06:00'."
            ) from error
        if begin > end:
            raise UsageError(f"Backfill of flow {self.name}: {from_date} comes after {to_date}.")
        return {"dag_id": self.name, "from_date": begin.isoformat(), "to_date": end.isoformat()}

    def _conf(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """The conf of a run that is given parameters."""
        known = self._server.params(self.name)
        names = {name.replace("-", "_"): name for name in known} | {name: name for name in known}
        problems = [
            f"Parameter {name!r}: flow {self.name} has none of that name, expected one of "
            f"{', '.join(known) or 'none'}.{did_you_mean(name, known)}"
            for name in parameters
            if name not in names
        ]
        if problems:
            raise UsageError("\n".join(problems))
        return {names[name]: as_json(value) for name, value in parameters.items()}

    def resume(self, origin_run_id: str, step: str | None = None) -> TriggeredRun:
        """Start a run that uses the results of an earlier run and does what that has not done.

        Its parameters are those of the earlier run, its code is the deployed one.

        Args:
            origin_run_id: The earlier run; of a run of a laptop in the same datastore also
                ``flow/run``.
            step: Run this step and everything after it again; by default what has not succeeded.

        Raises:
            UsageError: It is paused.
        """
        return self.resume_as(None, origin_run_id, step)

    def resume_as(
        self, run_id: str | None, origin_run_id: str, step: str | None = None
    ) -> TriggeredRun:
        """As :meth:`resume`.

        Args:
            run_id: Id of the run; by default one is made.
            origin_run_id: As of :meth:`resume`.
            step: As of :meth:`resume`.
        """
        self.require_active()
        origin = origin_run_id if step is None else {"run": origin_run_id, "step": step}
        conf = {**self._required_of(origin_run_id), CONF_KEY: origin}
        run = self._server.trigger(self.name, conf, run_id)
        return TriggeredRun(self.name, run["dag_run_id"], self._server)

    def _required_of(self, origin_run_id: str) -> dict[str, Any]:
        """What an earlier run was given of the params without which Airflow starts no run."""
        earlier = self._server.run(self.name, origin_run_id.rpartition("/")[2])
        given = (earlier or {}).get("conf") or {}
        return {
            name: given[name]
            for name, param in self._server.params(self.name).items()
            if name in given and param.get("value") is None and not _takes_null(param)
        }

    def require_active(self) -> None:
        """Make sure that runs of it would start.

        Raises:
            UsageError: It is paused.
            NotFound: It is not deployed.
        """
        if self.is_paused:
            raise UsageError(
                f"Flow {self.name}: found it paused in Airflow at {self._server.url}, so that no "
                f"run would start. Let it run first: 'airflow unpause', or .unpause() in Python."
            )

    def list_runs(
        self, states: Sequence[str] | None = None, limit: int = 100
    ) -> list[TriggeredRun]:
        """The newest runs, newest first, whoever started them.

        Args:
            states: Only those: ``PENDING``, ``RUNNING``, ``SUCCEEDED``, ``FAILED``.
            limit: How many at most.

        Raises:
            UsageError: There is no such state.
        """
        runs = self._server.runs(self.name, airflow_states(states or ()), limit)
        return [TriggeredRun(self.name, run["dag_run_id"], self._server, run) for run in runs]

    def delete(self) -> Changes:
        """Take its files out of the dags folder and delete it from Airflow, runs included.

        What the runs have left in the datastore stays.

        Returns:
            What was done in the dags folder.

        Raises:
            DeploymentError: Runs of it have not ended, its files are not those of ``create``, or the
                folder has those of another branch of its project.
        """
        folder = DagsFolder(find_dags_folder(self._dags_folder))
        self._require_own_branch(folder)
        dag = self._server.dag(self.name)
        running = dag is not None and not dag["is_paused"]
        if running:
            self.pause()  # the schedule must not start another run meanwhile
        try:
            self._require_all_ended()
            changes = folder.remove(flow_class(self.name))
        except BaseException:
            if running:
                self.unpause()
            raise
        self._server.delete_dag(self.name)
        return changes

    def _require_own_branch(self, folder: DagsFolder) -> None:
        there = folder.deployment(self.flow_name)
        branch = self.name.removesuffix(self.flow_name).strip(".").partition(".")[2]
        if there is not None and there.branch not in (None, branch):
            raise DeploymentError(
                f"Flow {self.name} ({folder.root}): found it there as branch {there.branch}, "
                f"expected {branch or 'none'}. Name the branch with --branch or "
                f"--production, or the right folder with --dags-folder."
            )

    def _require_all_ended(self) -> None:
        unfinished = self._server.runs(self.name, ("queued", "running"))
        if unfinished:
            ids = ", ".join(run["dag_run_id"] for run in unfinished)
            raise DeploymentError(
                f"Flow {self.name}: found runs that have not ended ({ids}). Terminate them, or "
                f"wait for them."
            )

    def __repr__(self) -> str:
        return f"DeployedFlow({self.name!r}, {self.metadata!r})"


def _takes_null(param: Mapping[str, Any]) -> bool:
    types = (param.get("schema") or {}).get("type", "null")
    return "null" in ([types] if isinstance(types, str) else types)


def _server(metadata: str | None, impl: str) -> AirflowServer:
    if impl != DeployedFlow.TYPE:
        raise UsageError(f"Scheduler: found {impl!r}, expected 'airflow', the only one there is.")
    if metadata is not None and not metadata.startswith("airflow@"):
        raise UsageError(f"Metadata: found {metadata!r}, expected airflow@http://host:port.")
    return AirflowServer(require_url(None, metadata))
