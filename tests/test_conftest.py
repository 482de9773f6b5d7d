from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

OUTSIDE = "192.0.2.1"  # TEST-NET-1 (RFC 5737): nobody answers there


def _blocked() -> pytest.RaisesExc[RuntimeError]:
    return pytest.raises(RuntimeError, match=r"Network access \(test\): found")


def test_connecting_outside_is_refused():
    with socket.socket() as client, _blocked():
        client.connect((OUTSIDE, 80))


def test_connect_ex_outside_is_refused():
    with socket.socket() as client, _blocked():
        client.connect_ex((OUTSIDE, 80))


def test_datagrams_outside_are_refused():
    with socket.socket(type=socket.SOCK_DGRAM) as client, _blocked():
        client.sendto(b"ping", (OUTSIDE, 53))


def test_looking_up_a_foreign_name_is_refused():
    with _blocked():
        socket.getaddrinfo("example.com", 443)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_loopback_is_open(host):
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection((host, server.getsockname()[1]), timeout=5) as client:
            assert client.getpeername() == server.getsockname()


def test_unix_sockets_are_open(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a relative name: the path may be longer than sun_path
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind("s")
        server.listen()
        client.connect("s")


PROBE = """
import json, os, sys
import tests.conftest
print(json.dumps({"environ": dict(os.environ), "airflow": "airflow" in sys.modules}))
tests.conftest.pytest_unconfigure()
"""


@pytest.fixture
def probe():
    """What the top-level conftest makes of a shell that is full of the user's settings."""
    shell = {
        "AIRFLOW_HOME": "/users/airflow",
        "AWS_PROFILE": "production",
        "AWS_ACCESS_KEY_ID": "real",
        "FLOWSDK_DATASTORE": "s3://production",
    }
    output = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, **shell},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return json.loads(output)


def test_the_callers_configuration_is_out_of_reach(probe):
    environ = probe["environ"]
    assert environ["AWS_ACCESS_KEY_ID"] == "testing"
    assert environ["AIRFLOW_HOME"] != "/users/airflow"
    assert not {"AWS_PROFILE", "FLOWSDK_DATASTORE"} & environ.keys()


def test_airflow_is_not_loaded_by_the_top_level_conftest(probe):
    assert probe["airflow"] is False
