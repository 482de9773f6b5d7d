"""``flowsdk gc``."""

from __future__ import annotations

import argparse
import json
import re
import sys

from flowsdk.cli.garbage import Collector, Garbage, Policy
from flowsdk.cli.words import count
from flowsdk.client import metadata, namespace
from flowsdk.datastore import FlowDatastore, open_storage
from flowsdk.datastore.store import flows
from flowsdk.exception import NotFound, did_you_mean
from flowsdk.local.root import default_root

_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``gc``."""
    parser.description = (
        "Remove the runs that --keep-runs and --older-than let go, and data that no run refers to. "
        "Without either, no run is removed. Runs that have not ended stay, and so does data that "
        "was written or used again in the last day."
    )
    parser.add_argument("--flow", action="append", default=[], metavar="NAME",
                        help="of this flow; may be repeated (default: of all flows)")  # fmt: skip
    parser.add_argument("--keep-runs", type=count, metavar="N",
                        help="keep the newest N runs of each flow")  # fmt: skip
    parser.add_argument("--older-than", type=_age, metavar="AGE",
                        help="remove runs made longer ago, as 12h, 30d or 8w; together with "
                        "--keep-runs only what both let go")  # fmt: skip
    parser.add_argument("--keep-tag", action="append", default=[], metavar="TAG",
                        help="keep runs with this tag; may be repeated")  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--datastore-root", metavar="URI",
                        help="s3://bucket/prefix or a folder (default: FLOWSDK_DATASTORE, else "
                        "the nearest .flowsdk upwards)")  # fmt: skip
    parser.add_argument("--json", action="store_true",
                        help="print one JSON object for each flow")  # fmt: skip


def execute(args: argparse.Namespace) -> int:
    """Find the garbage, say what it is, and remove it."""
    root = args.datastore_root or default_root()
    storage = open_storage(root)
    known = flows(storage)
    for name in args.flow:
        if name not in known:
            hint = did_you_mean(name, known)
            raise NotFound(f"Flow: found {name!r}, expected one that has runs in {root}.{hint}")
    if not known and not args.json:
        sys.stderr.write(f"There are no flows in {root}.\n")
    metadata(root if "://" in root else f"local@{root}")
    namespace(None)
    policy = Policy(args.keep_runs, args.older_than, frozenset(args.keep_tag))
    for name in args.flow or known:
        collector = Collector(FlowDatastore(storage, name))
        garbage = collector.find(policy)
        if not args.dry_run:
            collector.remove(garbage)
        text = json.dumps(_facts(garbage, args.dry_run)) if args.json else _told(garbage, args)
        sys.stdout.write(f"{text}\n")
    return 0


def _facts(garbage: Garbage, dry_run: bool) -> dict[str, object]:
    return {
        "flow": garbage.flow,
        "removed": not dry_run,
        "runs": list(garbage.runs),
        "documents": len(garbage.documents),
        "data": len(garbage.data),
        "bytes": garbage.size,
        "too_young": garbage.waiting,
    }


def _told(garbage: Garbage, args: argparse.Namespace) -> str:
    verb = "would be removed" if args.dry_run else "removed"
    lines = [
        f"{garbage.flow}: {_counted(len(garbage.runs), 'run')} and {_counted(len(garbage.data), 'blob')}"
        f" {verb}, {_size(garbage.size)}"
    ]
    if garbage.waiting:
        lines.append(
            f"    {_counted(garbage.waiting, 'more blob')} will go later: used in the last day"
        )
    return "\n".join([*lines, *(f"    run {run}" for run in garbage.runs)])


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _size(size: float) -> str:
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _age(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([hdw])", text)
    if not match:
        raise argparse.ArgumentTypeError(f"found {text!r}, expected an age such as 12h, 30d or 8w")
    return float(match[1]) * _UNITS[match[2]]
