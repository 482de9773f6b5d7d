"""The process that is the embedded AWS: moto's server with our Batch in it."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import socket
import threading
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path

import boto3
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from werkzeug.serving import BaseWSGIServer, make_server

from airflow_flowprovider.local import infrastructure
from airflow_flowprovider.local.batch import adapter
from airflow_flowprovider.local.batch.executor import ProcessExecutor
from airflow_flowprovider.local.batch.settings import Settings
from airflow_flowprovider.local.ports import bind_first_free
from airflow_flowprovider.local.processes import ProcessGuardian
from airflow_flowprovider.local.requests import Application, Environ, RequestCounter, StartResponse
from airflow_flowprovider.local.server import READY_FILE, client_environment


class ConditionalWrites:
    """WSGI middleware: makes ``If-None-Match`` on a PutObject atomic, as it is on S3.

    moto looks whether the key exists and then writes it; two requests at the same moment would
    both find nothing and both succeed.
    """

    def __init__(self, application: Application) -> None:
        self._application = application
        self._locks = [threading.Lock() for _ in range(64)]

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Pass the request on, a conditional write only when no other one is under way."""
        if environ["REQUEST_METHOD"] != "PUT" or "HTTP_IF_NONE_MATCH" not in environ:
            return self._application(environ, start_response)
        with self._locks[zlib.crc32(environ["PATH_INFO"].encode()) % len(self._locks)]:
            return self._application(environ, start_response)


class _RequestHandler(MotoRequestHandler):
    # Connections stay open between requests, as AWS' do; and a response goes out at once, though
    # it is written in two pieces.
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True


def serve(
    state_dir: Path,
    *,
    host: str,
    port: int,
    settings: Settings,
    max_vcpus: int,
    on_ready: Callable[[str], None],
) -> None:
    """Be the embedded AWS until SIGTERM or SIGINT; then end all jobs.

    Args:
        state_dir: For the jobs' folders and the file that says where the server is.
        host: Address to listen on.
        port: Port to listen on, or the first free one above it; 0 for any free port.
        settings: Of Batch.
        max_vcpus: Of the compute environment that is created.
        on_ready: Called with the endpoint's URL once requests are answered.
    """
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    jobs_dir = state_dir / "jobs"
    shutil.rmtree(jobs_dir, ignore_errors=True)  # left by a server that was killed
    jobs_dir.mkdir(parents=True)
    with bind_first_free(host, port) as listener, ProcessGuardian() as guardian:
        endpoint_url = f"http://{host}:{listener.getsockname()[1]}"
        environment = client_environment(endpoint_url)
        adapter.install(ProcessExecutor(guardian, settings, environment, jobs_dir), settings)
        counter = RequestCounter(ConditionalWrites(DomainDispatcherApplication(create_backend_app)))
        server = _start(listener, counter)
        names = infrastructure.create(
            max_vcpus=max_vcpus,
            session=boto3.Session(
                environment["AWS_ACCESS_KEY_ID"],
                environment["AWS_SECRET_ACCESS_KEY"],
                region_name=environment["AWS_REGION"],
            ),
            endpoint_url=endpoint_url,
        )
        ready = {
            "endpoint_url": endpoint_url,
            "pid": os.getpid(),
            "bucket": names.bucket,
            "job_queue": names.job_queue,
        }
        counter.reset()  # what it takes to set an account up is nobody's figure
        unfinished = state_dir / f"{READY_FILE}.tmp"
        unfinished.write_text(json.dumps(ready))
        unfinished.replace(state_dir / READY_FILE)
        on_ready(endpoint_url)
        stopping.wait()
        (state_dir / READY_FILE).unlink(missing_ok=True)
        server.shutdown()


def _start(listener: socket.socket, application: Application) -> BaseWSGIServer:
    server = make_server(
        "127.0.0.1",  # for messages only: the socket is bound
        0,
        application,
        threaded=True,
        request_handler=_RequestHandler,
        fd=listener.fileno(),
    )
    threading.Thread(
        target=server.serve_forever, args=(0.05,), name="http-server", daemon=True
    ).start()
    return server
