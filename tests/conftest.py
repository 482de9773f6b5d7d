"""What holds for every test: no network but loopback, no user's configuration, no Airflow home.

The environment is set while this file is imported, because Airflow reads ``AIRFLOW_HOME`` and
its configuration once, at its own import, which may happen while tests are collected. This file
must not import Airflow: ``tests/flowsdk`` passes without it.
"""

from __future__ import annotations

import ipaddress
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

FOREIGN_PREFIXES = ("AIRFLOW_", "AWS_", "FLOWSDK_", "METAFLOW_")
"""Variables of the caller's shell that would change what is tested."""

LOCAL_NAMES = frozenset({"", "localhost", "localhost.localdomain", "ip6-localhost"})

_session_home = Path(tempfile.mkdtemp(prefix="flowprovider-tests-"))


class NetworkBlockedError(RuntimeError):
    """A test reached for a host other than this one.

    Not an ``OSError``: code under test retries those, and the mistake would show as a slow test.
    """

    def __init__(self, host: object) -> None:
        """Keep the host, for the message and for tests of the guard."""
        super().__init__(
            f"Network access (test): found {host!r}, expected a loopback address or a unix "
            "socket. Point the client at a server the test has started."
        )
        self.host = host


def _hear_interrupts() -> None:
    """Undo what a shell does to the jobs it starts in the background.

    They ignore Ctrl-C, and so would every process that a test starts and interrupts.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _set_environment() -> None:
    for name in [name for name in os.environ if name.startswith(FOREIGN_PREFIXES)]:
        del os.environ[name]
    os.environ.update(
        AIRFLOW_HOME=str(_session_home / "airflow"),
        AIRFLOW__CORE__LOAD_EXAMPLES="False",
        # Airflow's API application starts only with a secret; 64 bytes, the length it asks for.
        AIRFLOW__API_AUTH__JWT_SECRET="testing-" * 8,
        AWS_ACCESS_KEY_ID="testing",
        AWS_SECRET_ACCESS_KEY="testing",
        AWS_DEFAULT_REGION="us-east-1",
        AWS_REGION="us-east-1",
        # Files that do not exist, rather than the profiles of whoever runs the tests.
        AWS_CONFIG_FILE=str(_session_home / "aws-config"),
        AWS_SHARED_CREDENTIALS_FILE=str(_session_home / "aws-credentials"),
        AWS_EC2_METADATA_DISABLED="true",
        # A proxy in the caller's shell must not receive requests meant for loopback.
        NO_PROXY="localhost,127.0.0.1,::1",
        no_proxy="localhost,127.0.0.1,::1",
    )
    (_session_home / "airflow").mkdir()


_hear_interrupts()
_set_environment()
# Python takes compiled code for current if the file has the same size and was written in the same
# second: then a flow that a test writes anew would still be the one before.
sys.dont_write_bytecode = True


def _is_local(host: object) -> bool:
    if host is None:
        return True
    name = host.decode() if isinstance(host, bytes) else str(host)
    if name in LOCAL_NAMES or name == socket.gethostname():
        return True
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _guard_address(original: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(self: socket.socket, *args: Any) -> Any:
        address = args[-1]  # connect(address), sendto(data, address), sendto(data, flags, address)
        if self.family in {socket.AF_INET, socket.AF_INET6} and not _is_local(address[0]):
            raise NetworkBlockedError(address[0])
        return original(self, *args)

    return guarded


def _guard_lookup(original: Callable[..., Any]) -> Callable[..., Any]:
    def guarded(host: Any, *args: Any, **kwargs: Any) -> Any:
        if not _is_local(host):
            raise NetworkBlockedError(host)
        return original(host, *args, **kwargs)

    return guarded


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """Let sockets of this process reach loopback and unix sockets only."""
    with pytest.MonkeyPatch.context() as patch:
        for method in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, method, _guard_address(getattr(socket.socket, method)))
        patch.setattr(socket, "getaddrinfo", _guard_lookup(socket.getaddrinfo))
        yield


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes longest: at the end it would keep one core busy and leave the others idle."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_unconfigure() -> None:
    """Remove the session's Airflow home."""
    shutil.rmtree(_session_home, ignore_errors=True)
