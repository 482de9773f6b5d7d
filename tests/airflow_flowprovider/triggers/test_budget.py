from __future__ import annotations

import asyncio

import pytest

from airflow_flowprovider.triggers import budget as module
from airflow_flowprovider.triggers.budget import RequestBudget


class Clock:
    """Time that passes only when a test says so."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_turns_come_one_after_another_and_are_not_saved_up(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, slept = Clock(), list[float]()

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module.asyncio, "sleep", sleep)
    budget = RequestBudget(4)

    async def turns(number: int) -> None:
        for _ in range(number):
            await budget.turn()

    asyncio.run(turns(3))
    assert slept == [0.25, 0.5]
    clock.now += 60
    slept.clear()
    asyncio.run(turns(2))
    assert slept == [0.25]
