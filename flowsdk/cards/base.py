"""``MetaflowCard`` and ``MetaflowCardComponent``: what cards and their parts are derived from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from flowsdk.cards.markup import escape, failure, short_repr, text_of
from flowsdk.exception import CardNotFound, did_you_mean
from flowsdk.runtime.redaction import redact

if TYPE_CHECKING:
    from flowsdk.cards.facts import TaskFacts


class MetaflowCardComponent:
    """A part of a card.

    A subclass of your own overrides :meth:`render`. Its HTML is taken as it is, so escape what is
    not yours (``html.escape``); scripts in it are not run.
    """

    #: Whether :meth:`update` does anything.
    REALTIME_UPDATABLE: ClassVar[bool] = False

    _component_id: str | None = None

    @property
    def component_id(self) -> str | None:
        """The id that the component has in its card, or None."""
        return self._component_id

    @component_id.setter
    def component_id(self, value: str) -> None:
        if not isinstance(value, str):
            raise TypeError(f"component_id: found {value!r}, expected a text.")
        self._component_id = value

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Change what the component shows; ``current.card.refresh()`` makes the change visible.

        Raises:
            NotImplementedError: Components of this kind do not change.
        """
        raise NotImplementedError(
            f"{type(self).__name__}.update(): components of this kind do not change. Put a new one "
            f"in its place: current.card.components['id'] = …."
        )

    def render(self) -> str:
        """The component as a fragment of HTML."""
        raise NotImplementedError(f"{type(self).__name__} has no render().")


class UserComponent(MetaflowCardComponent):
    """Base of the components that come with flowsdk."""


class MetaflowCard:
    """A type of card. Subclass it, give it a ``type``, and override :meth:`render`.

    ``@card(type="mine")`` finds the class by its ``type`` among the subclasses that exist when the
    card is made: it must be defined in the flow file or in a module that the flow imports. Of two
    classes with the same ``type`` the one defined last counts.

    Args:
        options: What ``@card(options=…)`` says.
        components: The components added to the card, rendered: fragments of HTML. Empty unless
            ``ALLOW_USER_COMPONENTS``.
        graph: The steps of the flow, as ``current.graph["steps"]`` has them.
        flow: The flow object.
    """

    # Cards made for Metaflow name these. Here they change nothing: a card is shown anew whenever it
    # has changed.
    RELOAD_POLICY_NEVER = "never"
    RELOAD_POLICY_ALWAYS = "always"
    RELOAD_POLICY_ONCHANGE = "onchange"
    RELOAD_POLICY_TOKEN = "[METAFLOW_RELOAD_TOKEN]"  # noqa: S105  # a mark in a page

    #: The name of the type in ``@card(type=…)``.
    type: ClassVar[str | None] = None
    #: Whether ``current.card`` can add components to the card.
    ALLOW_USER_COMPONENTS: ClassVar[bool] = False
    #: Whether the card can be shown while the task runs; :meth:`render_runtime` makes it then.
    RUNTIME_UPDATABLE: ClassVar[bool] = False

    def __init__(
        self,
        options: Mapping[str, Any] | None = None,
        components: Sequence[str] = (),
        graph: Mapping[str, Any] | None = None,
        flow: Any = None,
    ) -> None:
        self.options = dict(options or {})
        self.components = list(components)
        self.graph = graph
        self.flow = flow

    def render(self, task: Any) -> str:
        """The card as a whole page of HTML. Called when the task has succeeded.

        Args:
            task: The finished task, as the client's ``Task``.
        """
        raise NotImplementedError(f"Card type {self.type!r} has no render().")

    def render_runtime(self, task: Any, data: Mapping[str, Any]) -> str:
        """The card while the task runs.

        Args:
            task: The running task, as the client's ``Task``.
            data: ``user``: what ``refresh(data)`` was last given; ``components``: the rendered
                components that can be updated, by id; ``render_seq``: how often the card has been
                shown.
        """
        raise NotImplementedError(f"Card type {self.type!r} has no render_runtime().")

    def refresh(self, task: Any, data: Mapping[str, Any]) -> Any:  # noqa: ARG002  # for subclasses
        """What ``Card.get_data()`` shall return while the task runs; by default ``data``."""
        return data


class BuiltinCard(MetaflowCard):
    """A card made of the facts about a task, without asking the client."""

    facts: TaskFacts | None = None
    #: What the step holds, by name, for what can be shown as more than a line of text.
    values: Mapping[str, Any] = MappingProxyType({})


def card_types() -> dict[str, type[MetaflowCard]]:
    """The card classes that exist, by type."""
    from flowsdk.cards import builtin  # noqa: F401  # defines those that always do

    return {kind.type: kind for kind in _subclasses(MetaflowCard) if kind.type}


def card_type(name: str) -> type[MetaflowCard]:
    """The card class of a type.

    Raises:
        CardNotFound: There is none.
    """
    known = card_types()
    if name not in known:
        raise CardNotFound(
            f"Card type {name!r}: found no subclass of MetaflowCard with that type, expected one of "
            f"{', '.join(sorted(known))}.{did_you_mean(name, known)} Define it in the flow file, or "
            f"import its module there."
        )
    return known[name]


def _subclasses(kind: type[MetaflowCard]) -> Iterator[type[MetaflowCard]]:
    for subclass in kind.__subclasses__():
        yield subclass
        yield from _subclasses(subclass)


def rendered(component: object) -> str:
    """The HTML of a component, or of a plain value; what fails becomes a box that says why."""
    if isinstance(component, str):
        return escape(component)
    if not isinstance(component, MetaflowCardComponent):
        is_number = isinstance(component, (int, float))
        return escape(text_of(component) if is_number else short_repr(component))
    try:
        html: object = component.render()
    except Exception as error:  # noqa: BLE001  # a part must not take the card along
        return failure(
            f"{type(component).__name__} cannot be shown", f"{type(error).__name__}: {error}"
        )
    if not isinstance(html, str):
        return failure(
            f"{type(component).__name__} cannot be shown",
            f"render() returned {short_repr(html)}, expected a text of HTML.",
        )
    return html if isinstance(component, UserComponent) else redact(html)
