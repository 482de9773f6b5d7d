"""Servers of Debian's that an Airflow in production has: PostgreSQL for its database, Redis for Celery.

Each runs in a temporary folder, on a free port of loopback, and ends with this process.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from airflow_flowprovider.local.ports import first_free
from airflow_flowprovider.local.processes import GuardedProcess, ProcessGuardian
from airflow_flowprovider.local.server import log_tail

HOST = "127.0.0.1"
_START_SECONDS = 60.0
_STOP_SECONDS = 20.0


class Server:
    """A server in a folder of its own; usable as a context manager."""

    name: ClassVar[str]
    stop_signal: ClassVar[int] = signal.SIGTERM

    def __init__(self) -> None:
        self.port = first_free(0, HOST)
        self._stack = ExitStack()
        self._process: GuardedProcess | None = None

    def __enter__(self) -> Server:
        with ExitStack() as stack:
            # Not below pytest's folder, which no other user may enter.
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix=f"{self.name}-"))
            self.folder = Path(folder)
            guardian = stack.enter_context(ProcessGuardian())
            argv = self.prepare()
            with self.log_file.open("ab") as log:
                self._process = guardian.spawn(
                    argv, env={"PATH": os.environ["PATH"]}, cwd=folder, output=log.fileno()
                )
            stack.callback(self._process.stop, self.stop_signal, _STOP_SECONDS)
            self._wait_until_ready(self._process)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """What Airflow is told to find it."""
        raise NotImplementedError

    @property
    def log_file(self) -> Path:
        """What the server prints."""
        return self.folder / "server.log"

    def prepare(self) -> Sequence[str]:
        """Make what the server needs in its folder; the command that starts it."""
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether it answers."""
        raise NotImplementedError

    def _wait_until_ready(self, process: GuardedProcess) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while not self.is_ready():
            ended = process.wait(0.05) is not None
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"{self.name} did not start:\n{log_tail(self.log_file)}")


class PostgreSql(Server):
    """PostgreSQL with an empty database for Airflow."""

    name = "postgresql"
    stop_signal = signal.SIGINT  # "fast": ends sessions rather than waiting for them

    @staticmethod
    def programs() -> Path | None:
        """Where Debian keeps the newest installed server; None if there is none."""
        found = Path("/usr/lib/postgresql").glob("*/bin/postgres")
        return max((path.parent for path in found), key=_version, default=None)

    @property
    def url(self) -> str:
        """Of the database, with the driver that every Airflow from 3.1 on knows."""
        return f"postgresql+psycopg2://postgres@{HOST}:{self.port}/postgres"

    def prepare(self) -> Sequence[str]:
        programs, data = self.programs(), self.folder / "data"
        assert programs, "no PostgreSQL: apt-get install postgresql"
        data.mkdir()
        account: list[str] = []
        if os.getuid() == 0:  # as whom it refuses to run
            shutil.chown(data, "postgres", "postgres")
            self.folder.chmod(0o711)
            setpriv = shutil.which("setpriv") or "setpriv"
            account = [setpriv, "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        subprocess.run(
            [*account, str(programs / "initdb"), "--pgdata", str(data), "--username=postgres",
             "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"],
            check=True, cwd="/", stdout=subprocess.DEVNULL,
        )  # fmt: skip
        settings = {
            "listen_addresses": HOST,
            "port": self.port,
            "unix_socket_directories": "",
            "max_connections": 400,  # every process of Airflow has pools of its own
            # It need not outlive a power cut.
            "fsync": "off",
            "synchronous_commit": "off",
            "full_page_writes": "off",
        }
        options = [word for item in settings.items() for word in ("-c", "{}={}".format(*item))]
        return [*account, str(programs / "postgres"), "-D", str(data), *options]

    def is_ready(self) -> bool:
        import psycopg2

        try:
            psycopg2.connect(host=HOST, port=self.port, user="postgres").close()
        except psycopg2.OperationalError:
            return False
        return True


class Redis(Server):
    """Redis in memory."""

    name = "redis"

    @staticmethod
    def program() -> str | None:
        """The server, where it is installed."""
        return shutil.which("redis-server")

    @property
    def url(self) -> str:
        """Its first database."""
        return f"redis://{HOST}:{self.port}/0"

    def prepare(self) -> Sequence[str]:
        program = self.program()
        assert program, "no Redis: apt-get install redis-server"
        return [program, "--bind", HOST, "--port", str(self.port), "--save", "", "--dir", "."]

    def is_ready(self) -> bool:
        try:
            with socket.create_connection((HOST, self.port), timeout=1) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
        except OSError:
            return False


def _version(programs: Path) -> float:
    return float(programs.parent.name)
