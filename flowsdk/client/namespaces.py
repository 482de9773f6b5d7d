"""Namespaces: which runs a client sees unless it asks for all.

A run is in a namespace if the namespace is one of its tags. ``user:<name>`` is a system tag of every
run, under Airflow the name of whoever triggered it, and the default namespace; hence one's own runs
are found first, and those of others or of a schedule only after ``namespace(None)``.
"""

from __future__ import annotations

import os

from flowsdk.current_task import current
from flowsdk.exception import UsageError
from flowsdk.identity import user_name

VARIABLE = "FLOWSDK_NAMESPACE"


class _Selection:
    """What ``namespace()`` was last given; None means the default."""

    chosen: tuple[str | None] | None = None


def namespace(ns: str | None) -> str | None:
    """Choose the namespace for all client objects made from now on.

    Args:
        ns: A tag that runs must have, as a rule ``user:<name>``; None for all runs.

    Returns:
        The namespace, as :func:`get_namespace` tells it.

    Raises:
        UsageError: It is neither text nor None.
    """
    given: object = ns
    if given is not None and not (isinstance(given, str) and given):
        raise UsageError(
            f"Namespace: found {ns!r}, expected a tag such as 'user:{user_name()}', or None for all "
            f"runs."
        )
    _Selection.chosen = (ns,)
    return ns


def get_namespace() -> str | None:
    """The namespace in force; None means all runs."""
    return _Selection.chosen[0] if _Selection.chosen else _default()


def default_namespace() -> str | None:
    """Go back to the default. Returns it.

    In a running task it is the namespace of its run. Elsewhere it is FLOWSDK_NAMESPACE – empty for
    all runs – and without that ``user:<name>``.
    """
    _Selection.chosen = None
    return get_namespace()


def _default() -> str | None:
    if current.is_running_flow:
        return current.get("namespace") or None
    return os.environ.get(VARIABLE, f"user:{user_name()}") or None
