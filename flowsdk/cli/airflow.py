"""``python flow.py airflow …``: the flow as a DAG of an Airflow."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Container
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from flowsdk.cli.actions import add_actions
from flowsdk.cli.flow_parameters import add_parameters
from flowsdk.cli.words import positive, seconds
from flowsdk.decorators.project import full_name, given_branch
from flowsdk.deployer.server import AirflowServer, require_url
from flowsdk.flow import FlowSpec


class _Action(NamedTuple):
    """What follows ``airflow``.

    Attributes:
        summary: What it does.
        add: Adds its options.
        module: Where the function of its name is.
    """

    summary: str
    add: Callable[[argparse.ArgumentParser, type[FlowSpec]], None]
    module: str = "flowsdk.cli.airflow_commands"


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:
    """The actions of ``airflow`` and their options."""
    summaries = {name: action.summary for name, action in _ACTIONS.items()}
    for name, below in add_actions(parser, summaries).items():
        _ACTIONS[name].add(below, flow)


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Carry out the chosen action. Returns its exit code."""
    module = import_module(_ACTIONS[args.action].module)
    return int(getattr(module, args.action.replace("-", "_"))(flow, args))


def server_of(args: argparse.Namespace) -> AirflowServer:
    """The Airflow that the options or the environment name.

    Raises:
        UsageError: They name none.
    """
    return AirflowServer(require_url(getattr(args, "airflow", None), args.metadata))


def deployed_name(flow: type[FlowSpec], args: argparse.Namespace) -> str:
    """What the flow is called in Airflow: the id of its DAG."""
    return full_name(flow, *given_branch(args))


def _add_create(parser: argparse.ArgumentParser, _: type[FlowSpec]) -> None:
    _add_folder(parser)
    parser.add_argument("--name", metavar="NAME",
                        help="refuse a flow of another name; the DAG has the flow's")  # fmt: skip
    parser.add_argument("--file-name", metavar="FILE",
                        help="what to call the flow file in the dags folder (default: as it "
                        "is)")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true",
                        help="check, and say what would be copied")  # fmt: skip
    parser.add_argument("--overwrite", action="store_true",
                        help="also replace files that were not put there for this flow, or were "
                        "changed there")  # fmt: skip
    parser.add_argument("--paused", action="store_true",
                        help="leave a new flow paused (default: it runs by its schedule from now "
                        "on; one that was there stays as it is)")  # fmt: skip
    parser.add_argument("--no-wait", action="store_true",
                        help="do not wait until Airflow has parsed the file; no address of it is "
                        "needed then")  # fmt: skip
    parser.add_argument("--timeout", type=seconds, default=600, metavar="SECONDS",
                        help="how long to wait for that (default: %(default)s)")  # fmt: skip
    parser.add_argument("--deployer-attribute-file", type=Path, default=None, metavar="FILE",
                        help="write name, airflow and dags_folder to this file, as JSON, when it "
                        "is done")  # fmt: skip
    _add_common(parser)


def _add_trigger(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:
    taken = add_parameters(parser, flow)
    _add_starting(parser, taken)
    _add_common(parser, taken)


def _add_resume(parser: argparse.ArgumentParser, _: type[FlowSpec]) -> None:
    parser.add_argument("step", nargs="?", default=None, metavar="STEP",
                        help="run this step and everything after it again (default: what has not "
                        "succeeded)")  # fmt: skip
    parser.add_argument("--origin-run-id", default=None, metavar="RUN",
                        help="the run to resume, also one of a laptop in the same datastore "
                        "(default: the newest of the deployed flow)")  # fmt: skip
    _add_starting(parser)
    _add_common(parser)


def _add_starting(parser: argparse.ArgumentParser, taken: Container[str] = ()) -> None:
    """The options of commands that start a run."""
    parser.add_argument("--run-id", metavar="ID", help="id of the run (default: one is made)")
    if "wait" not in taken:
        parser.add_argument("--wait", nargs="?", type=seconds, const=float("inf"), default=None,
                            metavar="SECONDS",
                            help="wait until the run has ended; exit code 1 if it "
                            "fails")  # fmt: skip


def _add_list_runs(parser: argparse.ArgumentParser, _: type[FlowSpec]) -> None:
    for state in ("pending", "running", "succeeded", "failed"):
        parser.add_argument(f"--{state}", action="append_const", const=state.upper(),
                            dest="states", help=f"only runs that are {state}; states may be "
                            f"combined")  # fmt: skip
    parser.add_argument("--limit", type=positive, default=20, metavar="N",
                        help="show this many (default: %(default)s)")  # fmt: skip
    _add_common(parser)


def _add_backfill(parser: argparse.ArgumentParser, _: type[FlowSpec]) -> None:
    parser.add_argument("--from-date", required=True, metavar="DATE",
                        help="begin of the range: 2026-11-21 or 2026-11-21T06:00, in the time zone "
                        "of the schedule")  # fmt: skip
    parser.add_argument("--to-date", required=True, metavar="DATE",
                        help="end of the range, inclusive; a date means its whole "
                        "day")  # fmt: skip
    parser.add_argument("--max-active-runs", type=positive, default=10, metavar="N",
                        help="how many runs at once (default: %(default)s)")  # fmt: skip
    parser.add_argument("--reprocess", choices=("none", "failed", "completed"), default="none",
                        help="which runs that exist already to run again "
                        "(default: %(default)s)")  # fmt: skip
    parser.add_argument("--backwards", action="store_true", help="begin with the newest")
    parser.add_argument("--parameter", action="append", default=[], dest="parameters",
                        metavar="NAME=VALUE",
                        help="of the flow, for all of the runs; may be repeated")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="only say which runs it would be")
    _add_common(parser)


def _add_delete(parser: argparse.ArgumentParser, _: type[FlowSpec]) -> None:
    _add_folder(parser)
    _add_common(parser)


def _add_status(parser: argparse.ArgumentParser, _: type[FlowSpec]) -> None:
    parser.add_argument("run_id", nargs="?", metavar="RUN_ID",
                        help="of this run (default: of the deployment)")  # fmt: skip
    _add_common(parser)


def _add_nothing(parser: argparse.ArgumentParser, _: type[FlowSpec]) -> None:
    _add_common(parser)


def _add_terminate(parser: argparse.ArgumentParser, _: type[FlowSpec]) -> None:
    parser.add_argument("run_id", metavar="RUN_ID")
    _add_common(parser)


_ACTIONS = {
    "create": _Action("deploy the flow: copy its files into a dags folder and wait until Airflow "
                      "has parsed them", _add_create, "flowsdk.cli.airflow_create"),
    "trigger": _Action("start a run of the deployed flow", _add_trigger),
    "resume": _Action("start a run of the deployed flow that does what an earlier one has not done",
                      _add_resume),
    "list-runs": _Action("list the newest runs of the deployed flow", _add_list_runs),
    "backfill": _Action("start the runs that the schedule would have started in a range of dates",
                        _add_backfill),
    "status": _Action("show how the deployed flow, or one of its runs, is", _add_status),
    "pause": _Action("start no task of the deployed flow from now on", _add_nothing),
    "unpause": _Action("let the deployed flow run again", _add_nothing),
    "terminate": _Action("end a run and the jobs of its tasks", _add_terminate),
    "delete": _Action("take the flow's files out of the dags folder and delete it from Airflow, "
                      "runs included", _add_delete),
}  # fmt: skip


def _add_folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dags-folder", metavar="PLACE",
                        help="a directory or s3://bucket/prefix that Airflow reads DAG files from "
                        "(default: FLOWSDK_DAGS_FOLDER, else AIRFLOW_HOME/dags)")  # fmt: skip


def _add_common(parser: argparse.ArgumentParser, taken: Container[str] = ()) -> None:
    """The options of all commands; a parameter of the same name goes first."""
    if "airflow" not in taken:
        parser.add_argument("--airflow", metavar="URL",
                            help="address of Airflow's API server (default: FLOWSDK_AIRFLOW_URL, "
                            "or FLOWSDK_METADATA)")  # fmt: skip
    if "json" not in taken:
        parser.add_argument("--json", action="store_true", help="print JSON")
