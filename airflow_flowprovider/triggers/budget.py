"""How many requests a triggerer sends to AWS Batch, whoever of its triggers wants them."""

from __future__ import annotations

import asyncio
import time


class RequestBudget:
    """Spaces requests evenly: so many a second, whatever connections they go through.

    How it works:
        Whoever takes a turn is told when the next one is free, and sleeps until then. There is no
        burst: a thousand triggers that start at once ask as evenly as any others.
    Known limitation:
        Several triggerers do not know of each other, and AWS counts by account. What it refuses is
        asked again, later.

    Args:
        per_second: Requests.
    """

    def __init__(self, per_second: float) -> None:
        self._spacing = 1 / per_second
        self._next = 0.0

    async def turn(self) -> None:
        """Wait until a request may be sent."""
        now = time.monotonic()
        due = max(now, self._next)
        self._next = due + self._spacing
        if due > now:
            await asyncio.sleep(due - now)
