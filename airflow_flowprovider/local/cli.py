"""The command line: ``aws`` starts the embedded AWS alone, ``standalone`` with Airflow around it."""

from __future__ import annotations

import argparse
import contextlib
import shlex
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from airflow_flowprovider.local.batch.settings import Settings
from airflow_flowprovider.local.server import (
    DEFAULT_PORT,
    READY_FILE,
    EmbeddedAws,
    LocalServerError,
    client_environment,
)
from airflow_flowprovider.local.standalone import DEFAULT_API_PORT, Standalone

STATE_DIR = Path(".flowprovider")


def main(argv: Sequence[str] | None = None) -> None:
    """Run one of the commands until it is interrupted."""
    arguments = _parser().parse_args(argv)
    arguments.run(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_flowprovider.local",
        description="An AWS on this machine, with or without an Airflow that uses it.",
    )
    commands = parser.add_subparsers(required=True, metavar="command")
    aws = commands.add_parser("aws", help="the embedded AWS alone, until Ctrl-C")
    aws.set_defaults(run=_aws)
    aws.add_argument("--host", default="127.0.0.1", help="address to listen on")
    _add_port(aws, "--port", DEFAULT_PORT)
    standalone = commands.add_parser("standalone", help="the embedded AWS and Airflow")
    standalone.set_defaults(run=_standalone)
    standalone.add_argument("--dags", type=Path, default=Path("dags"), help="folder of the flows")
    _add_port(standalone, "--port", DEFAULT_API_PORT)
    _add_port(standalone, "--aws-port", DEFAULT_PORT)
    standalone.add_argument(
        "--env",
        action="append",
        default=[],
        type=_variable,
        metavar="NAME=VALUE",
        help="an environment variable of Airflow, such as a setting; may be repeated",
    )
    demo = commands.add_parser("demo", help="a flow through Airflow and AWS Batch, start to end")
    demo.set_defaults(run=_demo)
    demo.add_argument("--dags", type=Path, default=Path("dags"), help="folder of the flows")
    demo.add_argument("--keep", action="store_true", help="leave it running for a look")
    demo.add_argument(
        "--state-dir", type=Path, default=None, help="default: a temporary folder, then removed"
    )
    for command in (aws, standalone):
        command.add_argument("--max-vcpus", type=int, default=16, help="of the compute environment")
        command.add_argument(
            "--settings",
            type=Settings.from_json,
            default=Settings(),
            metavar="JSON",
            help="delays and limits of Batch: fields of airflow_flowprovider.local.batch.settings",
        )
        command.add_argument(
            "--state-dir", type=Path, default=STATE_DIR, help="default: %(default)s"
        )
    return parser


def _add_port(parser: argparse.ArgumentParser, flag: str, default: int) -> None:
    text = "port, or the first free one above it; 0 for any (default: %(default)s)"
    parser.add_argument(flag, type=int, default=default, help=text)


def _variable(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected NAME=VALUE")
    return name, value


def _aws(arguments: argparse.Namespace) -> None:
    from airflow_flowprovider.local.application import serve

    state_dir: Path = arguments.state_dir.resolve()
    (state_dir / READY_FILE).unlink(missing_ok=True)
    serve(
        state_dir,
        host=arguments.host,
        port=arguments.port,
        settings=arguments.settings,
        max_vcpus=arguments.max_vcpus,
        on_ready=_announce,
    )


def _standalone(arguments: argparse.Namespace) -> None:
    _stop_like_ctrl_c()
    instance = Standalone(
        arguments.dags,
        arguments.state_dir,
        api_port=arguments.port,
        aws_port=arguments.aws_port,
        settings=arguments.settings,
        max_vcpus=arguments.max_vcpus,
        extra_env=dict(arguments.env),
    )
    try:
        _say("Starting Airflow and an embedded AWS; this takes about 20 seconds.")
        with instance:
            _say(
                f"Airflow on      {instance.api_url}",
                f"Log in as       {instance.username}, password {instance.password}",
                f"Embedded AWS on {instance.aws.endpoint_url}",
                f"Log             {instance.log_file}",
                "Ctrl-C ends both.",
            )
            ended = instance.wait()
            sys.exit(f"Airflow's {ended} has ended by itself. Its log: {instance.log_file}")
    except LocalServerError as error:
        sys.exit(str(error))
    except KeyboardInterrupt:
        _say("Stopped.")


def _demo(arguments: argparse.Namespace) -> None:
    from airflow_flowprovider.local.demo import DemoError, run_demo

    _stop_like_ctrl_c()
    with contextlib.ExitStack() as stack:
        state_dir = arguments.state_dir or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="flowprovider-demo-"))
        )
        try:
            run_demo(arguments.dags, state_dir, keep=arguments.keep)
        except (DemoError, LocalServerError) as error:
            sys.exit(str(error))
        except KeyboardInterrupt:
            _say("Stopped.")


def _stop_like_ctrl_c() -> None:
    """Whatever asks this process to end goes through the same way out as Ctrl-C."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)


def _announce(endpoint_url: str) -> None:
    variables = {
        **client_environment(endpoint_url),
        "FLOWSDK_DATASTORE": f"s3://{EmbeddedAws.bucket}/flowsdk",
        "FLOWSDK_BATCH_QUEUE": EmbeddedAws.job_queue,
        "FLOWSDK_BATCH_IMAGE": "python:3",
    }
    exports = [f"  export {name}={shlex.quote(value)}" for name, value in variables.items()]
    _say(
        f"Embedded AWS on {endpoint_url}; bucket and job queue: flows. To use it:",
        "",
        *exports,
        "",
        "Ctrl-C ends it, and all its jobs.",
    )


def _say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()
