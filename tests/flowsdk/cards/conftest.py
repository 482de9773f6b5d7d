from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flowsdk.cards import CardContainer, get_cards
from flowsdk.client import default_metadata, metadata
from tests.flowsdk.flows import import_flow
from tests.flowsdk.running import Finished, run

IMPORTS = "from flowsdk import card, current\nfrom flowsdk.cards import *\n"
Carded = Callable[..., Finished]
CardsOf = Callable[..., CardContainer]


@pytest.fixture
def carded(tmp_path: Path) -> Carded:
    """Runs a flow of text whose lines may use everything in ``flowsdk`` and ``flowsdk.cards``."""

    def call(body: str, **options: Any) -> Finished:
        flow = import_flow(tmp_path, IMPORTS + textwrap.dedent(body))
        return run(flow, tmp_path, **options)

    return call


@pytest.fixture
def cards_of() -> Iterator[CardsOf]:
    """The cards of a task of a run, as ``step/task``."""

    def call(finished: Finished, task: str, **choice: Any) -> CardContainer:
        metadata(f"local@{finished.store.storage.root}")
        return get_cards(f"{finished.store.flow}/{finished.run}/{task}", **choice)

    yield call
    default_metadata()
