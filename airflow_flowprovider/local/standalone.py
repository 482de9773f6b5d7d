"""An Airflow on this machine, around an embedded AWS: for trying flows, the demo, and tests."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import IO, Any
from urllib.parse import urlsplit

from airflow_flowprovider.local.batch.settings import Settings
from airflow_flowprovider.local.ports import first_free
from airflow_flowprovider.local.processes import GuardedProcess, ProcessGuardian
from airflow_flowprovider.local.server import (
    EmbeddedAws,
    LocalServerError,
    log_tail,
    python_environment,
)

DEFAULT_API_PORT = 8080
AIRFLOW_LOG_FILE = "airflow.log"
_HOST = "127.0.0.1"
_COMPONENTS = ("scheduler", "dag-processor", "triggerer", "api-server")
_HEALTHY = (
    "metadatabase",
    "scheduler",
    "dag_processor",
    "triggerer",
)  # as the API server names them
_START_SECONDS = 240.0  # 20 s on an idle machine, of which the empty database takes 6
_STOP_SECONDS = (
    5.0  # by itself it takes 15 s, idle; what is killed here is picked up at the next start
)
_LOOK_SECONDS = 0.2
_LOCK_FILE = "lock"
# Airflow's simple auth manager reads this file, and adds to it only users that are missing.
_PASSWORDS_FILE = "simple_auth_manager_passwords.json.generated"


class Standalone:
    """The components of an Airflow and an :class:`EmbeddedAws`, started and stopped together.

    Purpose:
        A complete deployment in one folder: metadata database (SQLite unless ``extra_env`` says
        otherwise), logs, passwords, and the AWS that flows run on.

    How it works:
        All are started under one process guardian, on ports that are free, so that several can
        run side by side. Nothing they start outlives this process, even if it is killed.
        Settings of the caller's environment that begin with ``AIRFLOW`` or ``AWS`` are left out.
        ``airflow standalone`` is not asked, because it runs no executor but the LocalExecutor:
        with Celery as executor a Celery worker is one of the components here.

    Known limitation:
        The embedded AWS keeps buckets in memory. A folder that is used again still shows its
        earlier runs in Airflow, but their artifacts are gone.

    Args:
        dags: The dags folder.
        state_dir: Everything is kept here; a folder serves one instance at a time.
        api_port: Port of Airflow's API server and UI, or the first free one above it; 0 for any.
        aws_port: The same for the embedded AWS.
        settings: Of the embedded Batch.
        max_vcpus: Of the compute environment.
        extra_env: Added to Airflow's environment, last: ``AIRFLOW__…`` settings.
    """

    username = "admin"

    def __init__(
        self,
        dags: Path | str,
        state_dir: Path | str,
        *,
        api_port: int = 0,
        aws_port: int = 0,
        settings: Settings | None = None,
        max_vcpus: int = 16,
        extra_env: Mapping[str, str] | None = None,
    ) -> None:
        self._dags = Path(dags).resolve()
        self._state_dir = Path(state_dir).resolve()
        self._api_port = api_port
        self._extra_env = dict(extra_env or {})
        self._home = self._state_dir / "airflow"
        self._guardian: ProcessGuardian | None = None
        self._components: dict[str, GuardedProcess] = {}
        self._lock: IO[str] | None = None
        self._password: str | None = None
        self._env: dict[str, str] = {}
        self._aws_options = {"port": aws_port, "settings": settings, "max_vcpus": max_vcpus}
        self._aws: EmbeddedAws | None = None

    @property
    def aws(self) -> EmbeddedAws:
        """The embedded AWS, once started."""
        assert self._aws, "not started"
        return self._aws

    @property
    def api_url(self) -> str:
        """Where Airflow's UI and API are, without a slash at the end."""
        return self._env["AIRFLOW__API__BASE_URL"]

    @property
    def password(self) -> str:
        """Of :attr:`username`; made up once for each state folder."""
        assert self._password, "not started"
        return self._password

    @property
    def env(self) -> dict[str, str]:
        """The environment of Airflow's processes; ``airflow`` commands work in it."""
        return dict(self._env)

    @property
    def log_file(self) -> Path:
        """What Airflow's components print."""
        return self._state_dir / AIRFLOW_LOG_FILE

    def start(self) -> Standalone:
        """Start everything and wait until every component reports that it is healthy.

        Raises:
            LocalServerError: The state folder is in use, or a server did not start.
        """
        if not self._dags.is_dir():
            raise LocalServerError(
                f"Dags folder ({self._dags}): not found, expected an existing folder. "
                "Name another with --dags."
            )
        self._home.mkdir(parents=True, exist_ok=True)
        self._take_lock()
        try:
            self._guardian = ProcessGuardian()
            self._aws = EmbeddedAws(
                self._state_dir,
                guardian=self._guardian,
                **self._aws_options,  # type: ignore[arg-type]
            ).start()
            self._password = self._read_or_make_password()
            self._env = self._environment(self._aws)
            self._migrate()
            self._components = {name: self._run(*name.split()) for name in self._names()}
            self._wait_until_healthy()
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End Airflow, then the embedded AWS and its jobs."""
        for component in self._components.values():
            component.signal(signal.SIGTERM)
        deadline = time.monotonic() + _STOP_SECONDS
        for component in self._components.values():
            component.wait(max(0.0, deadline - time.monotonic()))
        self._components = {}
        if self._aws:
            self._aws.stop()
        if self._guardian:
            self._guardian.close()
            self._guardian = None
        if self._lock:
            self._lock.close()
            self._lock = None

    def wait(self) -> str:
        """Wait until a component ends by itself; its name."""
        while not (name := self._ended()):
            time.sleep(_LOOK_SECONDS)
        return name

    def token(self) -> str:
        """A token for Airflow's public API: ``Authorization: Bearer <token>``."""
        credentials = {"username": self.username, "password": self.password}
        answer = self._request("POST", "/auth/token", credentials)
        return str(answer["access_token"])

    def __enter__(self) -> Standalone:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _take_lock(self) -> None:
        lock = (self._state_dir / _LOCK_FILE).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise LocalServerError(
                f"State folder ({self._state_dir}): found it in use by another instance, expected "
                "a folder of its own. Stop that one, or name another with --state-dir."
            ) from None
        self._lock = lock

    def _read_or_make_password(self) -> str:
        path = self._home / _PASSWORDS_FILE
        passwords: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        if self.username not in passwords:
            passwords[self.username] = secrets.token_urlsafe(9)
            path.touch(mode=0o600)
            path.write_text(json.dumps(passwords) + "\n")
        return passwords[self.username]

    def _environment(self, aws: EmbeddedAws) -> dict[str, str]:
        inherited = {k: v for k, v in python_environment().items() if not k.startswith("AIRFLOW")}
        # The components are started by the name `airflow`, which must be the one of this Python.
        path = os.pathsep.join([str(Path(sys.executable).parent), inherited.get("PATH", "")])
        port = first_free(self._api_port, _HOST)
        base_url = f"http://{_HOST}:{port}"
        return {
            **inherited,
            "PATH": path,
            **aws.env,
            "AIRFLOW_HOME": str(self._home),
            "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
            # Where no configuration file has them yet, each component would make up its own.
            "AIRFLOW__API__SECRET_KEY": secrets.token_urlsafe(32),
            "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_urlsafe(32),
            "AIRFLOW__API__HOST": _HOST,
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": base_url,
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{base_url}/execution/",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self._dags),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "5",  # a new flow file is seen this soon
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(first_free(0)),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(first_free(0)),
            "AIRFLOW__FLOWPROVIDER__DATASTORE": f"s3://{aws.bucket}/flowsdk",
            "AIRFLOW__FLOWPROVIDER__JOB_QUEUE": aws.job_queue,
            "AIRFLOW__FLOWPROVIDER__IMAGE": "python:3",
            **self._extra_env,
        }

    def _names(self) -> list[str]:
        celery = "CeleryExecutor" in self._env.get("AIRFLOW__CORE__EXECUTOR", "")
        return [*_COMPONENTS, *(["celery worker"] if celery else [])]

    def _run(self, *words: str) -> GuardedProcess:
        assert self._guardian
        argv = [sys.executable, "-m", "airflow", *words]
        with self.log_file.open("ab") as log:
            return self._guardian.spawn(argv, env=self._env, cwd=self._home, output=log.fileno())

    def _migrate(self) -> None:
        """Create the tables of the metadata database, or bring them up to date."""
        code = self._run("db", "migrate").wait(_START_SECONDS)
        if code != 0:
            raise self._not_started(f"exit code {code} of `airflow db migrate`, expected 0")

    def _wait_until_healthy(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self._healthy():
            if name := self._ended():
                code = self._components[name].poll()
                raise self._not_started(f"exit code {code} of `airflow {name}`, expected it to run")
            if time.monotonic() > deadline:
                raise self._not_started(
                    f"it not ready, expected all components healthy within {_START_SECONDS:g} s"
                )
            time.sleep(_LOOK_SECONDS)

    def _not_started(self, found: str) -> LocalServerError:
        return LocalServerError(
            f"Airflow ({self._state_dir}): found {found}. Its log ends with:\n"
            + log_tail(self.log_file)
        )

    def _ended(self) -> str | None:
        """The name of a component that runs no longer."""
        ended = (name for name, process in self._components.items() if process.poll() is not None)
        return next(ended, None)

    def _healthy(self) -> bool:
        try:
            health = self._request("GET", "/api/v2/monitor/health")
        except (OSError, HTTPException, LocalServerError):
            return False
        return all((health.get(name) or {}).get("status") == "healthy" for name in _HEALTHY)

    def _request(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        payload = None if body is None else json.dumps(body)
        connection = HTTPConnection(urlsplit(self.api_url).netloc, timeout=30)
        try:
            connection.request(method, path, payload, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 400:
            raise LocalServerError(
                f"Airflow ({method} {path}): found status {answer.status}, expected success. It "
                f"said: {content.decode(errors='replace')}"
            )
        found: dict[str, Any] = json.loads(content)
        return found
