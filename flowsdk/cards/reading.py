"""``get_cards``: the cards of a task, wherever it ran."""

from __future__ import annotations

import json
import tempfile
import webbrowser
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

from flowsdk.cards.markup import escape
from flowsdk.client import Task
from flowsdk.datastore import FlowDatastore
from flowsdk.datastore.keys import CardName
from flowsdk.exception import UsageError
from flowsdk.spec import TaskRef

#: Height of a card in a notebook, in pixels; it scrolls within.
_NOTEBOOK_HEIGHT = 640
#: The least of a hash that names a card.
_SHORTEST_HASH = 5


class Card:
    """One card: an HTML file, read when it is first wanted.

    Attributes:
        type: Of the card.
        id: As ``@card(id=…)`` gave it, or None.
        hash: Tells it from all other cards; a card that is refreshed keeps it.
        from_resumed: Whether the task's run has it from the run that it resumes.
        origin_pathspec: The task that made it then, or None.
    """

    def __init__(
        self,
        store: FlowDatastore,
        run: str,
        ref: TaskRef,
        name: CardName,
        origin_pathspec: str | None = None,
    ) -> None:
        self._store, self._run, self._ref, self._name = store, run, ref, name
        self.type = name.type
        self.id = name.id
        self.hash = name.hash
        self.from_resumed = origin_pathspec is not None
        self.origin_pathspec = origin_pathspec

    @property
    def path(self) -> str:
        """Where the card lies: a file or ``s3://…``."""
        return self._store.card_uri(self._run, self._ref, self._name)

    def get(self) -> str:
        """The card's HTML, as it is now."""
        return self._store.read_card(self._run, self._ref, self._name).decode("utf-8")

    def get_data(self) -> Any:
        """What ``current.card.refresh(data)`` last told the card, or None.

        Returns:
            A dictionary with ``user``, ``components`` and ``render_seq``, unless the card's class
            has a ``refresh`` of its own.
        """
        data = self._store.read_card_data(self._run, self._ref, self._name)
        return None if data is None else json.loads(data)

    def view(self) -> None:
        """Open the card in a web browser."""
        webbrowser.open(self.local_file().as_uri())

    def local_file(self) -> Path:
        """The card as a file on this machine, copied here if it lies elsewhere."""
        if "://" not in self.path:
            return Path(self.path)
        folder = Path(tempfile.mkdtemp(prefix="flowsdk-card-"))
        file = folder / f"{self._ref.step}-{self.type}-{self.hash[:_SHORTEST_HASH]}.html"
        file.write_text(self.get(), "utf-8")
        return file

    def __repr__(self) -> str:
        return f"<Card at {self.path!r}>"

    def _repr_html_(self) -> str:
        # A frame: the card's style must not become the notebook's.
        return (
            f'<iframe srcdoc="{escape(self.get())}" sandbox="allow-scripts allow-popups" '
            f'title="Card {escape(self.id or self.type)}" '
            f'style="width:100%;height:{_NOTEBOOK_HEIGHT}px;border:0"></iframe>'
        )


class CardContainer(Sequence[Card]):
    """The cards of a task, shown one below the other in a notebook.

    Attributes:
        from_resumed: Whether the task's run has them from the run that it resumes.
        origin_pathspec: The task that made them then, or None.
    """

    def __init__(self, cards: Sequence[Card], origin_pathspec: str | None = None) -> None:
        self._cards = tuple(cards)
        self.from_resumed = origin_pathspec is not None
        self.origin_pathspec = origin_pathspec

    def __len__(self) -> int:
        return len(self._cards)

    @overload
    def __getitem__(self, index: int) -> Card: ...

    @overload
    def __getitem__(self, index: slice) -> CardContainer: ...

    def __getitem__(self, index: int | slice) -> Card | CardContainer:
        if isinstance(index, slice):
            return CardContainer(self._cards[index], self.origin_pathspec)
        return self._cards[index]

    def __repr__(self) -> str:
        return f"CardContainer({list(self._cards)})"

    def _repr_html_(self) -> str:
        return "\n".join(card._repr_html_() for card in self._cards)


def get_cards(
    task: str | Task,
    id: str | None = None,
    type: str | None = None,
    follow_resumed: bool = True,
    hash: str | None = None,
) -> CardContainer:
    """The cards of a task, in the order of its step's decorators.

    Also of a task that is running, once ``current.card.refresh()`` has been called.

    Args:
        task: The task or its pathspec.
        id: Only cards of this id.
        type: Only cards of this type.
        follow_resumed: If the task's run has its result from a run that it resumes, look there.
        hash: Only the card of this hash; its first five digits are enough.

    Raises:
        InvalidPathspec: ``task`` is no pathspec of a task.
        NotFound: There is no such task.
        UsageError: ``task`` is neither a pathspec nor a task, or ``hash`` is too short.
    """
    if isinstance(task, str):
        task = Task(task, _namespace_check=False)  # whoever names a task means it
    elif not isinstance(task, Task):
        raise UsageError(f"get_cards({task!r}): expected a Task or its pathspec.")
    if hash is not None and len(hash) < _SHORTEST_HASH:
        raise UsageError(f"Card hash: found {hash!r}, expected at least {_SHORTEST_HASH} digits.")
    flow, run, step, task_id = task.path_components
    store = task._provider.store(flow, run)
    ref = TaskRef(step, task_id, task.current_attempt)
    origin = None
    if follow_resumed:
        result = store.find_result(run, ref)
        origin = result.origin if result else None
    if origin:
        flow, run, step, task_id, attempt = origin.split("/")
        store, ref = FlowDatastore(store.storage, flow), TaskRef(step, task_id, int(attempt))
        origin = f"{flow}/{run}/{step}/{task_id}"
    found = [
        Card(store, run, ref, name, origin)
        for name in store.cards(run, ref)
        if id in (None, name.id) and type in (None, name.type) and name.hash.startswith(hash or "")
    ]
    return CardContainer(found, origin)
