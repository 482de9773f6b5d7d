"""What holds for every test of flowsdk."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_choice_of_the_client_stays() -> Iterator[None]:
    """The provider and the namespace that a test chooses hold for the test."""
    yield
    if "flowsdk.client.selection" in sys.modules:
        from flowsdk.client import default_metadata, default_namespace

        default_metadata()
        default_namespace()
