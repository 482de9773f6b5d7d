"""Start and stop the embedded AWS from another process: tests, demo, ``standalone``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

from airflow_flowprovider.local.batch.settings import Settings
from airflow_flowprovider.local.processes import (
    GuardedProcess,
    ProcessGuardian,
    environment_without,
)
from airflow_flowprovider.local.requests import HEALTH_PATH, REQUESTS_PATH

DEFAULT_PORT = 5566
READY_FILE = "aws.json"
LOG_FILE = "aws.log"
REGION = "us-east-1"
_START_SECONDS = 60.0
_STOP_SECONDS = 10.0


class LocalServerError(Exception):
    """A server of ours did not start; the message ends with the end of its log."""


def client_environment(endpoint_url: str) -> dict[str, str]:
    """What a process needs in its environment to use the AWS at ``endpoint_url``."""
    return {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": "embedded",
        "AWS_SECRET_ACCESS_KEY": "embedded",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
    }


class EmbeddedAws:
    """An embedded AWS in a process of its own.

    Usable as a context manager. Its bucket, job queue and compute environment are all called
    ``flows``. The server, and every job it runs, ends with this process, even if that is killed.

    Args:
        state_dir: Folder for its log and its jobs; a temporary one, removed at the end, if left
            out.
        port: Port to listen on, or the first free one above it; 0 for any free port.
        settings: Of Batch.
        max_vcpus: Of the compute environment.
        guardian: Where to start it; a guardian of its own if left out.
    """

    bucket = "flows"
    job_queue = "flows"

    def __init__(
        self,
        state_dir: Path | str | None = None,
        *,
        port: int = 0,
        settings: Settings | None = None,
        max_vcpus: int = 16,
        guardian: ProcessGuardian | None = None,
    ) -> None:
        self._temporary = state_dir is None
        self._state_dir = Path(state_dir or tempfile.mkdtemp(prefix="embedded-aws-")).resolve()
        self._port = port
        self._settings = settings or Settings()
        self._max_vcpus = max_vcpus
        self._own_guardian = guardian is None
        self._guardian = guardian
        self._process: GuardedProcess | None = None
        self._endpoint_url: str | None = None

    @property
    def endpoint_url(self) -> str:
        """Where it is, once started."""
        assert self._endpoint_url, "the embedded AWS has not been started"
        return self._endpoint_url

    @property
    def env(self) -> dict[str, str]:
        """What a process needs in its environment to use it."""
        return client_environment(self.endpoint_url)

    @property
    def log_file(self) -> Path:
        """What the server prints."""
        return self._state_dir / LOG_FILE

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return int(self._ready()["pid"])

    def start(self) -> EmbeddedAws:
        """Start the server and wait until it answers.

        Raises:
            LocalServerError: It ended, or was not up in time.
        """
        self._state_dir.mkdir(parents=True, exist_ok=True)
        (self._state_dir / READY_FILE).unlink(missing_ok=True)
        self._guardian = self._guardian or ProcessGuardian()
        argv = [sys.executable, "-m", "airflow_flowprovider.local", "aws"]
        argv += ["--port", str(self._port), "--state-dir", str(self._state_dir)]
        argv += ["--max-vcpus", str(self._max_vcpus), "--settings", self._settings.to_json()]
        with self.log_file.open("ab") as log:
            self._process = self._guardian.spawn(
                argv, env=python_environment(), cwd=self._state_dir, output=log.fileno()
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """End the server and all its jobs."""
        if self._process:
            self._process.stop(signal.SIGTERM, _STOP_SECONDS)
            self._process = None
        if self._own_guardian and self._guardian:
            self._guardian.close()
            self._guardian = None
        if self._temporary:
            shutil.rmtree(self._state_dir, ignore_errors=True)

    def requests(self, *, reset: bool = False) -> dict[str, int]:
        """How often each operation has been called: ``{"s3:PutObject": 3, ...}``.

        Args:
            reset: Start counting afresh.
        """
        method = "DELETE" if reset else "GET"
        counts: dict[str, int] = json.loads(_fetch(self.endpoint_url, method, REQUESTS_PATH))
        return counts

    def __enter__(self) -> EmbeddedAws:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def _ready(self) -> dict[str, str]:
        """What the server has written about itself; empty until it is up."""
        try:
            found: dict[str, str] = json.loads((self._state_dir / READY_FILE).read_text())
        except FileNotFoundError:
            return {}
        return found

    def _wait_until_ready(self, process: GuardedProcess) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not (ready := self._ready()):
            if process.wait(0.02) is not None or time.monotonic() > deadline:
                raise LocalServerError(
                    f"Embedded AWS ({self._state_dir}): found exit code {process.poll()}, expected "
                    f"a server within {_START_SECONDS:g} s. Its log ends with:\n"
                    + log_tail(self.log_file)
                )
        self._endpoint_url = ready["endpoint_url"]
        _fetch(self.endpoint_url, "GET", HEALTH_PATH)


def python_environment() -> dict[str, str]:
    """This process' environment without AWS settings, in which this package can be imported."""
    environment = environment_without("AWS_")
    roots = [str(Path(__file__).parents[2]), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, roots))
    return environment


def log_tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])


def _fetch(endpoint_url: str, method: str, path: str) -> bytes:
    connection = HTTPConnection(urlsplit(endpoint_url).netloc, timeout=10)
    try:
        connection.request(method, path)
        return connection.getresponse().read()
    finally:
        connection.close()
