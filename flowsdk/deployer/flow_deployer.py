"""``Deployer``: flow files, deployed from Python."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from types import TracebackType
from typing import Any, ClassVar

from flowsdk.deployer.deployed import DeployedFlow
from flowsdk.deployer.server import AirflowServer
from flowsdk.exception import UsageError
from flowsdk.flow import FlowSpec
from flowsdk.runner.commands import FlowCommands
from flowsdk.runner.notebook import NotebookFile

_ATTRIBUTES = "deployer_attribute_file"


class Deployer:
    """Deploys a flow file.

    Runs of it are then started and read from Python, too::

        deployed = Deployer("train.py").airflow().create(dags_folder="s3://bucket/dags")
        run = deployed.trigger(alpha=0.1)
        run.wait_for_completion()
        print(run.run.data.score)

    Args:
        flow_file: Relative to the current directory.
        show_output: Show what deploying prints.
        profile: Set as METAFLOW_PROFILE, for flows that read it; flowsdk has no profiles.
        env: Added to the environment.
        cwd: Where to run; by default the current directory.
        file_read_timeout: How many seconds deploying may take.
        options: Options of the command line before the command.

    Raises:
        UsageError: There is no such file or directory.
    """

    def __init__(
        self,
        flow_file: str | os.PathLike[str],
        show_output: bool = True,
        profile: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        file_read_timeout: float = 3600,
        **options: Any,
    ) -> None:
        profiled = {"METAFLOW_PROFILE": profile} if profile else {}
        self._commands = FlowCommands(flow_file, {**(env or {}), **profiled}, cwd, options)
        self._show_output = show_output
        self._file_read_timeout = file_read_timeout

    def airflow(self, name: str | None = None) -> AirflowDeployer:
        """Deploy to Airflow.

        Args:
            name: Of the DAG. It is the flow's name, so this only makes sure that it is.
        """
        return AirflowDeployer(
            self._commands,
            {"name": name},
            show_output=self._show_output,
            timeout=self._file_read_timeout,
        )

    def cleanup(self) -> None:
        """End what runs, and delete all temporary files."""
        self._commands.cleanup()

    def __enter__(self) -> Deployer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.cleanup()


class AirflowDeployer:
    """Deploys one flow file to Airflow; made by ``Deployer(…).airflow()``.

    Args:
        commands: Of the flow file.
        options: Of ``airflow create``, unless it is called with others.
        show_output: Show what deploying prints.
        timeout: In seconds.
    """

    TYPE: ClassVar[str] = DeployedFlow.TYPE

    def __init__(
        self,
        commands: FlowCommands,
        options: Mapping[str, Any],
        *,
        show_output: bool,
        timeout: float,
    ) -> None:
        self._commands = commands
        self.options = dict(options)
        self._show_output = show_output
        self._timeout = timeout

    def create(self, **keywords: Any) -> DeployedFlow:
        """Deploy the flow: check it, copy its files into the dags folder, wait for Airflow.

        Args:
            keywords: Options of ``airflow create``: ``dags_folder=…``, ``airflow="http://…"``,
                ``timeout=…``, ``paused=True``, ``overwrite=True`` …

        Raises:
            CommandFailed: It could not be deployed; the message says why.
        """
        chosen = {**self.options, **keywords}
        process = self._commands.start(["airflow", "create"], chosen, _ATTRIBUTES)
        try:
            if not self._show_output:
                made = process.wait_for_attributes(self._timeout)
                process.wait()
            else:
                with process.echo() as echo:
                    made = process.wait_for_attributes(self._timeout, echo)
                    process.wait(echo)
        except BaseException:
            process.stop()
            raise
        if not made["airflow"]:
            raise UsageError(
                f"Flow {made['name']}: its files are in {made['dags_folder']}, but nothing says "
                f"where Airflow is. Pass airflow='http://host:port'."
            )
        return DeployedFlow(made["name"], AirflowServer(made["airflow"]), made["dags_folder"])


class NBDeployer:
    """Deploys a flow that is defined in the cell of a notebook; see ``NBRunner`` and ``Deployer``.

    Args:
        flow: The flow class.
        show_output: As of ``Deployer``.
        profile: As of ``Deployer``.
        env: As of ``Deployer``.
        base_dir: Where modules are imported from; by default the current directory.
        file_read_timeout: As of ``Deployer``.
        options: As of ``Deployer``.

    Raises:
        UsageError: The flow has no source, or this is the process of the flow itself.
    """

    def __init__(
        self,
        flow: type[FlowSpec],
        show_output: bool = True,
        profile: str | None = None,
        env: Mapping[str, str] | None = None,
        base_dir: str | os.PathLike[str] | None = None,
        file_read_timeout: float = 3600,
        **options: Any,
    ) -> None:
        self._cell = NotebookFile(flow, base_dir)
        self._file_name = f"{flow.__name__}.py"
        self._deployer = Deployer(
            self._cell.write(),
            show_output=show_output,
            profile=profile,
            env=env,
            cwd=self._cell.folder,
            file_read_timeout=file_read_timeout,
            **options,
        )
        weakref.finalize(self._deployer, self._cell.delete)

    def airflow(self, name: str | None = None) -> AirflowDeployer:
        """As ``Deployer.airflow``; in the dags folder, the file is called like the flow."""
        deployer = self._deployer.airflow(name)
        deployer.options["file_name"] = self._file_name
        return deployer

    def cleanup(self) -> None:
        """Delete the temporary flow file, and all other temporary files."""
        self._deployer.cleanup()
        self._cell.delete()
