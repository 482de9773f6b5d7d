"""``current`` where Metaflow has it; flows are better off with ``from flowsdk import current``."""

from __future__ import annotations

from flowsdk.current_task import Current, current

__all__ = ["Current", "current"]
