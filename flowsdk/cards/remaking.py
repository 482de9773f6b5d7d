"""Making a card of a task that has finished long ago: ``python flow.py card create``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowsdk.cards.base import BuiltinCard, card_type
from flowsdk.cards.facts import finished_facts
from flowsdk.cards.reading import Card
from flowsdk.cards.writer import checked, make_card
from flowsdk.client import Task
from flowsdk.datastore.keys import CardName
from flowsdk.exception import KeyNotFound, UsageError
from flowsdk.flow import FlowSpec
from flowsdk.spec import RunSpec, TaskRef


def remake(
    task: Task,
    flow: type[FlowSpec],
    type: str,
    options: Mapping[str, Any],
    id: str | None,
    *,
    store: bool,
) -> tuple[str, Card | None]:
    """Make a card. Components that the step put on its own card are gone.

    Args:
        task: A finished task.
        flow: The flow class.
        type: Of the card.
        options: For the card class.
        id: Of the card.
        store: Whether it becomes one of the task's cards.

    Returns:
        The HTML, and the card if it has been stored.

    Raises:
        CardNotFound: There is no such type.
        UsageError: The task is running.
    """
    flow_name, run, step, task_id = task.path_components
    place = task._provider.store(flow_name, run)
    ref = TaskRef(step, task_id, task.current_attempt)
    result = place.find_result(run, ref)
    if result is None:
        raise UsageError(f"Task {task.pathspec} has no result yet: a card is of a finished task.")
    asked: RunSpec | None
    try:
        asked = place.read_run(run)
    except KeyNotFound:  # a run of Airflow that has been housekept
        asked = None
    facts = finished_facts(result, flow, asked)
    made = make_card(card_type(type), options, [], flow(use_cli=False), facts)
    html = checked(made, made.render(None if isinstance(made, BuiltinCard) else task))
    if not store:
        return html, None
    name = CardName.of(flow_name, run, ref, len(place.cards(run, ref)), type, id)
    place.write_card(run, ref, name, html.encode("utf-8", "backslashreplace"))
    return html, Card(place, run, ref, name)
