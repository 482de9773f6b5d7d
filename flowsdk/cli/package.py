"""``python flow.py package``: the code that jobs are given."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from flowsdk import package
from flowsdk.cli.actions import add_actions
from flowsdk.exception import UsageError
from flowsdk.flow import FlowSpec


def add_arguments(parser: argparse.ArgumentParser, flow: type[FlowSpec]) -> None:  # noqa: ARG001
    """The actions of ``package`` and their options."""
    actions = add_actions(
        parser,
        {
            "info": "show what the code package of this flow is",
            "list": "list the files in it",
            "save": "save it to a file",
        },
    )
    actions["list"].add_argument("--archive", action=argparse.BooleanOptionalAction, default=True,
                                 help="accepted for Metaflow's sake: names are always those in "
                                 "the package")  # fmt: skip
    for name in ("info", "list"):
        actions[name].add_argument("--json", action="store_true", help="print JSON")
    actions["save"].add_argument("path", type=Path, metavar="FILE.tar.gz")


def execute(flow: type[FlowSpec], args: argparse.Namespace) -> int:
    """Build the package and show, list or save it. Nothing is uploaded."""
    built = package.build(Path(sys.modules[flow.__module__].__file__ or ""))
    if args.action == "save":
        return _save(built, args)
    if args.action == "list":
        text = json.dumps(list(built.files)) if args.json else "\n".join(built.files)
    else:
        facts = {
            "script": built.script,
            "sha256": built.digest,
            "size": len(built.data),
            "files": len(built.files),
            "user_files": [name for name in built.files if not name.startswith("flowsdk/")],
        }
        text = json.dumps(facts) if args.json else _described(facts)
    sys.stdout.write(f"{text}\n")
    return 0


def _described(facts: dict[str, object]) -> str:
    own = facts["user_files"]
    assert isinstance(own, list)
    return (
        f"Script:     {facts['script']}\n"
        f"SHA-256:    {facts['sha256']}\n"
        f"Size:       {facts['size']} bytes\n"
        f"Files:      {facts['files']}, of flowsdk all but these:\n"
        + "\n".join(f"            {name}" for name in own)
    )


def _save(built: package.CodePackage, args: argparse.Namespace) -> int:
    try:
        args.path.write_bytes(built.data)
    except OSError as error:
        raise UsageError(
            f"Code package to {args.path}: {error.strerror}. Name a file that can be written."
        ) from error
    if not args.quiet:
        sys.stderr.write(f"Code package saved in {args.path}\n")
    return 0
