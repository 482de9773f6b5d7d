"""``current.card``: how a step puts components on its cards."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from flowsdk.cards.base import MetaflowCardComponent
from flowsdk.cards.components import Artifact
from flowsdk.exception import did_you_mean

if TYPE_CHECKING:
    from flowsdk.cards.writer import CardWriter

Refresh = Callable[[Any, bool], None]


def warn(message: str) -> None:
    """Say on stderr, which is the task's log, what is wrong with a card: it fails no task."""
    sys.stderr.write(f"[@card] {message}\n")


class NoComponent(MetaflowCardComponent):
    """Stands for a component that is not there."""

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Nothing is changed: there is nothing."""

    def render(self) -> str:
        """Nothing."""
        return ""


class Components:
    """The components of one card, in order, each under an id.

    Reading an id that is not there gives a component whose ``update`` does nothing, and says so in
    the log.
    """

    def __init__(self) -> None:
        self._parts: dict[str, MetaflowCardComponent] = {}
        self._count = 0

    def append(self, component: Any, id: str | None = None) -> None:
        """Add a component at the end; any other value is shown as an :class:`Artifact`."""
        if not isinstance(component, MetaflowCardComponent):
            component = Artifact(component)
        self._count += 1
        name = id or component.component_id
        if name is None or (id is None and name in self._parts):  # a component may be shown twice
            name = f"component-{self._count}"
        component.component_id = name
        self._parts[name] = component

    def extend(self, components: Iterable[Any]) -> None:
        """Add several."""
        for component in components:
            self.append(component)

    def clear(self) -> None:
        """Remove all."""
        self._parts = {}

    def keys(self) -> list[str]:
        """The ids."""
        return list(self._parts)

    def values(self) -> list[MetaflowCardComponent]:
        """The components."""
        return list(self._parts.values())

    def __getitem__(self, id: str) -> MetaflowCardComponent:
        if id not in self._parts:
            warn(f"There is no component {id!r} on the card.{did_you_mean(id, self._parts)}")
            return NoComponent()
        return self._parts[id]

    def __setitem__(self, id: str, component: Any) -> None:
        self.append(component, id)

    def __delitem__(self, id: str) -> None:
        if self._parts.pop(id, None) is None:
            warn(f"There is no component {id!r} on the card to delete.")

    def __contains__(self, id: object) -> bool:
        return id in self._parts

    def __iter__(self) -> Iterator[MetaflowCardComponent]:
        return iter(self.values())

    def __len__(self) -> int:
        return len(self._parts)


class CardEditor:
    """One card of the running step: ``current.card["id"]``.

    Args:
        type: Its type.
        id: Its id, or None.
        editable: Whether its type takes components.
        customize: Whether it was named to be the one that ``current.card.append`` means.
        refresh: Called with the data and ``force`` to have the card shown as it is now.
    """

    def __init__(
        self, type: str, id: str | None, editable: bool, customize: bool, refresh: Refresh
    ) -> None:
        self.type = type
        self.id = id
        self.editable = editable
        self.customize = customize
        self.components = Components()
        self._refresh = refresh

    def append(self, component: Any, id: str | None = None) -> None:
        """Add a component at the end.

        Args:
            component: The component; any other value is shown as an :class:`Artifact`.
            id: To find it again: ``.components[id]``.
        """
        self.components.append(component, id)

    def extend(self, components: Iterable[Any]) -> None:
        """Add several components."""
        self.components.extend(components)

    def clear(self) -> None:
        """Remove all components."""
        self.components.clear()

    def refresh(self, data: Mapping[str, Any] | None = None, force: bool = False) -> None:
        """Show the card as it is now to whoever looks at it, while the step goes on.

        Writing happens in the background, at most once in ``refresh_interval`` seconds; what comes
        in between is shown at the next time.

        Args:
            data: JSON values for cards of one's own.
            force: Do not wait for the interval.
        """
        self._refresh(data, force)

    def __iter__(self) -> Iterator[MetaflowCardComponent]:
        return iter(self.components)


class CardCollector:
    """``current.card``: all cards of the running step.

    What is done to it itself, rather than to ``current.card["id"]``, goes to the default card: the
    only one that takes components; of several the one with ``customize=True``, else the only one
    without an id. Misuse is said in the log and never fails the task.
    """

    def __init__(self) -> None:
        #: Who makes the cards, by the identity of the decorator.
        self.writers: dict[int, CardWriter] = {}
        self._editors: list[CardEditor] = []
        self._said: set[str] = set()

    def add(self, editor: CardEditor) -> None:
        """Have a card."""
        if editor.id is not None and any(other.id == editor.id for other in self._editors):
            warn(f"Several cards have the id {editor.id!r}: current.card means the first of them.")
        self._editors.append(editor)

    def __getitem__(self, id: str) -> CardEditor:
        for editor in self._editors:
            if editor.id == id:
                return editor
        known = [editor.id for editor in self._editors if editor.id is not None]
        self._say(
            f"current.card[{id!r}]: there is no such card, expected one of {known}."
            f"{did_you_mean(str(id), known)} Set its id: @card(id={id!r})."
        )
        return _nowhere()

    def __setitem__(self, id: str, components: Iterable[Any]) -> None:
        editor = self[id]
        editor.clear()
        editor.extend(components)

    def __contains__(self, id: object) -> bool:
        return any(editor.id == id for editor in self._editors)

    def __iter__(self) -> Iterator[MetaflowCardComponent]:
        return iter(self.components)

    def get(self, type: str | None = None) -> list[CardEditor]:
        """The cards of a type."""
        return [editor for editor in self._editors if editor.type == type]

    def append(self, component: Any, id: str | None = None) -> None:
        """Add a component to the default card; see :meth:`CardEditor.append`."""
        self._default().append(component, id)

    def extend(self, components: Iterable[Any]) -> None:
        """Add several components to the default card."""
        self._default().extend(components)

    def clear(self) -> None:
        """Remove all components of the default card."""
        self._default().clear()

    def refresh(self, data: Mapping[str, Any] | None = None, force: bool = False) -> None:
        """Show the default card as it is now; see :meth:`CardEditor.refresh`."""
        self._default().refresh(data, force)

    @property
    def components(self) -> Components:
        """The components of the default card."""
        return self._default().components

    def _default(self) -> CardEditor:
        editable = [editor for editor in self._editors if editor.editable]
        for chosen in (
            editable,
            [editor for editor in editable if editor.customize],
            [editor for editor in editable if editor.id is None],
        ):
            if len(chosen) == 1:
                return chosen[0]
        if editable:
            self._say(
                "current.card: several cards could be meant. Give each an id and use "
                "current.card['id'], or mark one with customize=True."
            )
        else:
            kinds = ", ".join(repr(editor.type) for editor in self._editors)
            self._say(f"current.card: cards of type {kinds} take no components.")
        return _nowhere()

    def _say(self, message: str) -> None:
        if message not in self._said:
            self._said.add(message)
            warn(message)


def _nowhere() -> CardEditor:
    """A card that nobody sees, so that a step with a mistake about its cards goes on."""
    return CardEditor("blank", None, True, False, lambda _, __: None)
