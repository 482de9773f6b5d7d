"""``@card``."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from flowsdk.current_task import current
from flowsdk.decorators.base import StepDecorator

if TYPE_CHECKING:
    from flowsdk.cards.collector import CardCollector
    from flowsdk.decorators.running import RunningTask
    from flowsdk.spec import TaskResult

_ID = re.compile(r"\w+", re.ASCII)


class Card(StepDecorator):
    """Make a report of every task of a step: one HTML file that shows what the task did.

    A card never fails its task; the task's log says what went wrong. A step may have several.

    Args:
        type: ``default``, ``blank``, or the ``type`` of a class of one's own.
        id: To tell the cards of a step apart: ``current.card["id"]``, ``get_cards(task, id=…)``.
        options: Passed to the card class; JSON values.
        timeout: Seconds that making the card may take. Default 45.
        customize: Of several cards, make this the one that ``current.card.append`` means.
        refresh_interval: Least seconds between two refreshes while the step runs. Default 5.
        save_errors: Store a card with the error if the card cannot be made. Default True.
    """

    name = "card"
    allow_multiple = True
    defaults: ClassVar[Mapping[str, Any]] = {
        "type": "default",
        "id": None,
        "options": {},
        "timeout": 45,
        "customize": False,
        "refresh_interval": 5,
        "save_errors": True,
    }

    def check(self) -> None:
        """The id must be a word, the options JSON, the times positive."""
        a = self.attributes
        if not isinstance(a["type"], str) or not a["type"]:
            raise self.error(f"type={a['type']!r}, expected the name of a card type.")
        if a["id"] is not None and not (isinstance(a["id"], str) and _ID.fullmatch(a["id"])):
            raise self.error(f"id={a['id']!r}, expected letters, digits and underscores.")
        if not isinstance(a["options"], dict):
            raise self.error(f"options={a['options']!r}, expected a dict.")
        try:
            json.dumps(a["options"])
        except (TypeError, ValueError) as error:
            raise self.error(f"options={a['options']!r}, expected JSON values: {error}.") from error
        for name, least in (("timeout", 1e-3), ("refresh_interval", 0)):
            seconds = self.number(name)
            if seconds is None or seconds < least:
                wanted = "more than 0" if least else "0 or more"
                raise self.error(f"{name}={a[name]!r}, expected seconds, {wanted}.")
            a[name] = seconds

    def around(self, task: RunningTask) -> AbstractContextManager[Any]:
        """Within, ``current.card`` is there."""
        return self._collecting(task)

    @contextmanager
    def _collecting(self, task: RunningTask) -> Iterator[None]:
        # Only a task with a card pays for the modules that make cards.
        from flowsdk.cards.collector import CardCollector
        from flowsdk.cards.writer import CardWriter

        collector: CardCollector = current.get("card") or CardCollector()
        writer = CardWriter(task, self.attributes, number=len(collector.writers))
        collector.add(writer.editor)
        collector.writers[id(self)] = writer
        current._add(card=collector)
        try:
            yield
        finally:
            writer.stop()

    def finished(self, task: RunningTask, result: TaskResult) -> None:  # noqa: ARG002
        """Make the final card."""
        collector: CardCollector | None = current.get("card")
        if collector is not None and id(self) in collector.writers:
            collector.writers[id(self)].finish(result)


card = Card.decorate
