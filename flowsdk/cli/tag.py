"""``python flow.py tag``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import chain

from flowsdk.cli.actions import add_actions
from flowsdk.cli.target import flow_name, look_where_asked, run_of
from flowsdk.client import Flow, Run
from flowsdk.exception import UsageError
from flowsdk.flow import FlowSpec
from flowsdk.identity import user_name


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:  # noqa: ARG001
    """The actions of ``tag`` and their options."""
    actions = add_actions(
        parser,
        {
            "add": "add tags to a run",
            "remove": "remove tags from a run",
            "replace": "replace tags of a run at once: removals first, then additions",
            "list": "list the tags of a run, or of all runs of this flow",
        },
    )
    for name, action in actions.items():
        action.add_argument("--run-id", required=name != "list", metavar="ID", help="which run")
        if name != "list":
            action.add_argument("--namespace", metavar="TAG",
                                help="refuse a run that is not in this namespace")  # fmt: skip
    for name in ("add", "remove"):
        actions[name].add_argument("tags", nargs="+", metavar="TAG")
    replace = actions["replace"]
    replace.add_argument("--add", action="append", required=True, metavar="TAG",
                         help="may be repeated")  # fmt: skip
    replace.add_argument("--remove", action="append", required=True, metavar="TAG",
                         help="may be repeated")  # fmt: skip
    _add_list_arguments(actions["list"])


def _add_list_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", nargs="?", metavar="RUN", help="as --run-id")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="of all runs (the default)")
    which.add_argument("--my-runs", action="store_true", help="of all runs of one's own")
    parser.add_argument("--hide-system-tags", action="store_true",
                        help="only tags that people have given")  # fmt: skip
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--group-by-tag", action="store_true", help="the runs of each tag")
    form.add_argument("--group-by-run", action="store_true", help="the tags of each run")
    form.add_argument("--flat", action="store_true", help="one tag a line (the default)")
    form.add_argument("--json", action="store_true",
                      help="print JSON: the user tags and system tags of each run")  # fmt: skip


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Change or list tags."""
    if args.action == "list":
        return _list(flow, args)
    look_where_asked(args, args.namespace)
    run = run_of(flow, args, args.run_id)
    change: dict[str, Callable[[], None]] = {
        "add": lambda: run.add_tags(args.tags),
        "remove": lambda: run.remove_tags(args.tags),
        "replace": lambda: run.replace_tags(args.remove, args.add),
    }
    change[args.action]()
    if not args.quiet:
        tags = ", ".join(sorted(Run(run.pathspec).user_tags)) or "none"
        sys.stdout.write(f"Tags of run {run.id}: {tags}\n")
    return 0


def _list(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    run_id = args.run_id or args.run
    if run_id and (args.all or args.my_runs or (args.run_id and args.run)):
        raise UsageError(
            "Which runs (command line): found one run and others as well, expected one run, --all "
            "or --my-runs. Leave all but one out."
        )
    look_where_asked(args, f"user:{user_name()}" if args.my_runs else None)
    runs: Iterable[Run] = (
        [run_of(flow, args, run_id)] if run_id else Flow(flow_name(flow, args)).runs()
    )
    tags = {run.id: _tags(run, args.hide_system_tags) for run in runs}
    if args.json:
        sys.stdout.write(f"{json.dumps(tags, indent=2)}\n")
    elif args.group_by_run:
        _print_groups({run: chain(*found.values()) for run, found in tags.items()})
    elif args.group_by_tag:
        by_tag: dict[str, list[str]] = {}
        for run, found in tags.items():
            for tag in chain(*found.values()):
                by_tag.setdefault(tag, []).append(run)
        _print_groups(dict(sorted(by_tag.items())))
    else:
        distinct = {tag for found in tags.values() for tag in chain(*found.values())}
        sys.stdout.write("".join(f"{tag}\n" for tag in sorted(distinct)))
    return 0


def _tags(run: Run, hide_system_tags: bool) -> dict[str, list[str]]:
    tags = {"user_tags": sorted(run.user_tags)}
    return tags if hide_system_tags else {**tags, "system_tags": sorted(run.system_tags)}


def _print_groups(groups: Mapping[str, Iterable[str]]) -> None:
    for name, members in groups.items():
        sys.stdout.write(f"{name}\n" + "".join(f"    {member}\n" for member in members))
