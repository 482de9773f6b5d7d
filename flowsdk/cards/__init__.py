"""Cards: reports of what a task did, each one HTML file.

``@card`` makes them, ``current.card`` puts components on them, ``get_cards`` and ``python flow.py
card`` read them. Names are loaded when they are first used (PEP 562): a job that makes cards does not
load what reads them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "MetaflowCard": "flowsdk.cards.base",
    "MetaflowCardComponent": "flowsdk.cards.base",
    "UserComponent": "flowsdk.cards.base",
    "Artifact": "flowsdk.cards.components",
    "Error": "flowsdk.cards.components",
    "Markdown": "flowsdk.cards.components",
    "ProgressBar": "flowsdk.cards.components",
    "Table": "flowsdk.cards.table",
    "ValueBox": "flowsdk.cards.components",
    "Image": "flowsdk.cards.image",
    "VegaChart": "flowsdk.cards.chart",
    "JSONViewer": "flowsdk.cards.viewers",
    "PythonCode": "flowsdk.cards.viewers",
    "YAMLViewer": "flowsdk.cards.viewers",
    "EventsTimeline": "flowsdk.cards.timeline",
    "BlankCard": "flowsdk.cards.builtin",
    "DefaultCard": "flowsdk.cards.builtin",
    "ErrorCard": "flowsdk.cards.builtin",
    "Card": "flowsdk.cards.reading",
    "CardContainer": "flowsdk.cards.reading",
    "get_cards": "flowsdk.cards.reading",
}

__all__ = [*_HOME]

if TYPE_CHECKING:
    from flowsdk.cards.base import MetaflowCard, MetaflowCardComponent, UserComponent
    from flowsdk.cards.builtin import BlankCard, DefaultCard, ErrorCard
    from flowsdk.cards.chart import VegaChart
    from flowsdk.cards.components import Artifact, Error, Markdown, ProgressBar, ValueBox
    from flowsdk.cards.image import Image
    from flowsdk.cards.reading import Card, CardContainer, get_cards
    from flowsdk.cards.table import Table
    from flowsdk.cards.timeline import EventsTimeline
    from flowsdk.cards.viewers import JSONViewer, PythonCode, YAMLViewer


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'flowsdk.cards' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
