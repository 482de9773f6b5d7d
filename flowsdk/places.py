"""Where what a flow names is looked for: files beside its own file, functions in modules."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from flowsdk.registry import is_deployed


def script_of(flow: type) -> Path:
    """The file in which a flow is defined."""
    module = sys.modules.get(flow.__module__)
    # In a notebook there is none, and the current folder is where it would be.
    return Path(getattr(module, "__file__", None) or flow.__name__).resolve()


def candidates(flow: type, path: str) -> list[Path]:
    """The places that a path may mean, in the order in which they are tried.

    Where flows are deployed the current folder is an accident, and only the flow's own counts.
    """
    wanted = Path(path).expanduser()
    beside = script_of(flow).parent / wanted
    return [beside] if wanted.is_absolute() or is_deployed(flow) else [Path.cwd() / wanted, beside]


def find_file(flow: type, path: str) -> Path | None:
    """The file that a path means; None if there is none in any of the places."""
    return next((place for place in candidates(flow, path) if place.is_file()), None)


def not_found(flow: type, path: str) -> str:
    """The end of a sentence about a path that means no file: where it was looked for."""
    places = dict.fromkeys(str(place) for place in candidates(flow, path))
    return f"found no such file, expected {' or '.join(places)}."


def named_function(function: str | Callable[..., Any]) -> Callable[..., Any]:
    """A function, or the one that ``"package.module.function"`` names; ``"."`` begins flowsdk's."""
    if not isinstance(function, str):
        return function
    module, _, name = function.rpartition(".")
    if module.startswith(".") or not module:
        module = f"flowsdk{module}"
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found
