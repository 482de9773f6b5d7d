"""``flowsdk tutorials``: the example flows that come with flowsdk."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import flowsdk
from flowsdk.cli.actions import add_actions
from flowsdk.exception import NotFound, UsageError, did_you_mean

_FOLDER = "tutorials"


@dataclass(frozen=True)
class Tutorial:
    """An example.

    Attributes:
        folder: Where it lies.
        title: What it is about, in a few words.
    """

    folder: Path
    title: str

    @property
    def name(self) -> str:
        """Its name, with a number by which tutorials are sorted."""
        return self.folder.name

    @property
    def flows(self) -> list[str]:
        """Names of the flow files."""
        return sorted(path.name for path in self.folder.glob("*.py"))


def tutorials() -> list[Tutorial]:
    """The examples that are installed, in the order in which to read them."""
    root = Path(flowsdk.__file__).parent / _FOLDER
    found = sorted(path for path in root.iterdir() if (path / "README.md").is_file())
    return [Tutorial(path, _title(path / "README.md")) for path in found]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The actions of ``tutorials`` and their options."""
    actions = add_actions(
        parser,
        {
            "list": "list the tutorials",
            "pull": "copy tutorials here, to read, run and change them",
            "info": "show what a tutorial is about",
        },
    )
    actions["list"].add_argument("--json", action="store_true", help="print JSON")
    actions["pull"].add_argument("name", nargs="*", metavar="NAME", help="which (default: all)")
    actions["pull"].add_argument("--to", type=Path, default=Path("flowsdk-tutorials"),
                                 metavar="FOLDER",
                                 help="copy into this folder (default: %(default)s)")  # fmt: skip
    actions["info"].add_argument("name", nargs=1, metavar="NAME")


def execute(args: argparse.Namespace) -> int:
    """List, copy or describe tutorials."""
    known = {tutorial.name: tutorial for tutorial in tutorials()}
    if args.action == "list":
        _list(list(known.values()), as_json=args.json)
        return 0
    chosen = [_named(known, name) for name in args.name or known]
    if args.action == "info":
        sys.stdout.write((chosen[0].folder / "README.md").read_text("utf-8"))
        return 0
    _pull(chosen, args.to)
    return 0


def _list(known: list[Tutorial], *, as_json: bool) -> None:
    if as_json:
        facts = [{"name": t.name, "title": t.title, "flows": t.flows} for t in known]
        sys.stdout.write(f"{json.dumps(facts, indent=2)}\n")
        return
    width = max(len(tutorial.name) for tutorial in known)
    for tutorial in known:
        sys.stdout.write(f"{tutorial.name:<{width}}  {tutorial.title}\n")
    sys.stdout.write("\n'flowsdk tutorials pull' copies them here.\n")


def _pull(chosen: list[Tutorial], target: Path) -> None:
    """Copy tutorials. Files that are there already may be somebody's work and are left alone."""
    taken = [target / tutorial.name for tutorial in chosen if (target / tutorial.name).exists()]
    if taken:
        raise UsageError(
            f"{', '.join(map(str, taken))}: found there already, expected nothing. Remove it, or "
            f"choose another folder with --to."
        )
    for tutorial in chosen:
        try:
            shutil.copytree(tutorial.folder, target / tutorial.name,
                            ignore=shutil.ignore_patterns("__pycache__", ".flowsdk"))  # fmt: skip
        except OSError as error:
            raise UsageError(f"--to {target}: {error}. Name a folder that can be made.") from error
        sys.stdout.write(f"{target / tutorial.name}: {', '.join(tutorial.flows)}\n")


def _named(known: dict[str, Tutorial], name: str) -> Tutorial:
    matching = [
        tutorial for full, tutorial in known.items() if name in (full, full.split("-", 1)[-1])
    ]
    if not matching:
        raise NotFound(
            f"Tutorial: found {name!r}, expected one of {', '.join(known)}."
            f"{did_you_mean(name, known)}"
        )
    return matching[0]


def _title(readme: Path) -> str:
    """The heading of a README."""
    with readme.open(encoding="utf-8") as lines:
        heading = next(lines, "").lstrip("# ").strip()
    return heading.partition(": ")[2] or heading  # the number is in the folder's name
