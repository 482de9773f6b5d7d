"""Makes the card of a running task and stores it: while the step runs, and at the end."""

from __future__ import annotations

import inspect
import json
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from types import FrameType
from typing import TYPE_CHECKING, Any

from flowsdk.cards.base import BuiltinCard, MetaflowCard, card_type, rendered
from flowsdk.cards.builtin import ErrorCard
from flowsdk.cards.collector import CardEditor, warn
from flowsdk.cards.facts import TaskFacts, finished_facts, running_facts
from flowsdk.cards.markup import plain, short_repr
from flowsdk.datastore.keys import CardName
from flowsdk.exception import CardNotFound, FlowException
from flowsdk.runtime.errors import describe
from flowsdk.runtime.redaction import redact

if TYPE_CHECKING:
    from flowsdk.decorators.running import RunningTask
    from flowsdk.spec import TaskResult


class _TookTooLong(BaseException):
    """The card is not done in time; no ``except Exception`` of a card may stop it."""


class CardWriter:
    """One card of one attempt.

    How it works:
        A refresh wakes a thread, which makes the card and stores it, over and over under the same
        name. Once the step has ended it is stopped, and the final card is made in the task's own
        thread, with a time limit.
    Known limitation:
        The limit interrupts Python code, not a library that does not return to it.

    Args:
        task: The task.
        attributes: Of the ``@card``.
        number: Which of the step's cards it is, from 0.
    """

    def __init__(self, task: RunningTask, attributes: Mapping[str, Any], number: int) -> None:
        self._task = task
        self._attributes = attributes
        spec = task.spec
        self._place = CardName.of(
            spec.flow, spec.run, spec.ref, number, attributes["type"], attributes["id"]
        )
        self._started_at = datetime.now(timezone.utc).isoformat()
        self._data: Any = None
        self._times_shown = 0
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._stopped = False
        self._said: set[str] = set()
        self._thread: threading.Thread | None = None
        self._kind: type[MetaflowCard] | None = None
        try:
            self._kind = card_type(attributes["type"])
        except CardNotFound as error:
            warn(str(error))
        self.editor = CardEditor(
            attributes["type"],
            attributes["id"],
            editable=bool(self._kind and self._kind.ALLOW_USER_COMPONENTS),
            customize=bool(attributes["customize"]),
            refresh=self.refresh,
        )

    # -- while the step runs

    def refresh(self, data: Any, force: bool) -> None:
        """Have the card shown as it is now; see :meth:`CardEditor.refresh`."""
        if self._kind is None or not self._kind.RUNTIME_UPDATABLE or self._stopped:
            return
        if data is not None:
            self._data = plain(data)
        if self._thread is None:
            self._thread = threading.Thread(target=self._keep_showing, daemon=True)
            self._thread.start()
        if force:
            self._hurry.set()
        self._wake.set()

    def stop(self) -> None:
        """Show nothing more until the final card."""
        self._stopped = True
        self._hurry.set()
        self._wake.set()

    def _keep_showing(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._stopped:
                return
            try:
                self._show()
            except Exception as error:  # noqa: BLE001  # a card fails no task
                # The step may have been changing a component just then: the next time will do.
                self._say(f"{self._name()} could not be refreshed: {type(error).__name__}: {error}")
            self._hurry.wait(self._attributes["refresh_interval"])
            self._hurry.clear()

    def _show(self) -> None:
        self._times_shown += 1
        spec = self._task.spec
        facts = running_facts(spec, type(self._task.flow), self._started_at)
        card = self._card(facts)
        data = self._reported(self._times_shown)
        task = None if isinstance(card, BuiltinCard) else self._client_task(None)
        html = checked(card, card.render_runtime(task, data))
        if not self._stopped:  # the data first: whoever sees the card finds what it shows
            self._store_data(card.refresh(task, data))
            self._store(html)

    # -- at the end

    def finish(self, result: TaskResult) -> None:
        """Make the final card and store it. What goes wrong is said in the log.

        Args:
            result: Of the task.
        """
        if not result.succeeded and not (self._kind and issubclass(self._kind, BuiltinCard)):
            return  # a card of one's own is about what a task has left behind
        attributes = self._attributes
        facts: TaskFacts | None = None
        try:
            with _limited(attributes["timeout"]):
                if self._thread is not None:
                    self._thread.join()  # what it is storing must not come after the final card
                facts = finished_facts(result, type(self._task.flow), self._task.spec)
                card = self._card(facts)
                task = None
                if isinstance(card, BuiltinCard):
                    card.values = self._task.flow._values()
                else:
                    task = self._client_task(result)
                html = checked(card, card.render(task))
            if self._data is not None:
                self._store_data(self._reported("final"))
            self._store(html)
        except _TookTooLong:
            why = (
                f"It took more than {attributes['timeout']:g} seconds. Give it more time: "
                f"@card(timeout=…), or make it do less."
            )
            self._failed(why, why, facts)
        except Exception as error:  # noqa: BLE001  # a card fails no task
            found = describe(error)
            text = found.message
            if not isinstance(error, FlowException):
                text = f"{found.type.removeprefix('builtins.')}: {text}"
            self._failed(text, found.traceback or text, facts)

    def _failed(self, why: str, details: str, facts: TaskFacts | None) -> None:
        if self._kind is not None:  # of a type that there is not, the log has said so already
            warn(f"{self._name()} could not be made: {why}")
        if not self._attributes["save_errors"] or facts is None:
            return
        try:
            card = ErrorCard({"error": details})
            card.facts = facts
            self._store(card.render(None))
        except Exception as error:  # noqa: BLE001  # as above
            warn(f"Neither could that be stored: {type(error).__name__}: {error}")

    # -- parts

    def _card(self, facts: TaskFacts) -> MetaflowCard:
        kind = self._kind or card_type(self._attributes["type"])
        components = [rendered(part) for part in self.editor] if kind.ALLOW_USER_COMPONENTS else []
        return make_card(kind, self._attributes["options"], components, self._task.flow, facts)

    def _reported(self, seq: int | str) -> dict[str, Any]:
        """What a card is told while it is shown."""
        components = {
            part.component_id: rendered(part) for part in self.editor if part.REALTIME_UPDATABLE
        }
        return {"user": self._data, "components": components, "render_seq": seq}

    def _client_task(self, result: TaskResult | None) -> Any:
        from flowsdk.cards.client_task import finished_task, running_task

        store, spec = self._task.store, self._task.spec
        return (
            running_task(store, spec.run, spec.ref)
            if result is None
            else finished_task(store, result)
        )

    def _say(self, message: str) -> None:
        if message not in self._said:  # the next refresh may fail for the same reason
            self._said.add(message)
            warn(message)

    def _name(self) -> str:
        called = f" ({self.editor.id})" if self.editor.id else ""
        return f"Card {self._attributes['type']!r}{called} of step {self._task.spec.step!r}"

    def _store(self, html: str) -> None:
        data = html.encode("utf-8", "backslashreplace")
        self._task.store.write_card(self._task.spec.run, self._task.spec.ref, self._place, data)

    def _store_data(self, data: Any) -> None:
        text = json.dumps(plain(data)).encode("utf-8")
        spec = self._task.spec
        self._task.store.write_card_data(spec.run, spec.ref, self._place, text)


def make_card(
    kind: type[MetaflowCard],
    options: Mapping[str, Any],
    components: list[str],
    flow: Any,
    facts: TaskFacts,
) -> MetaflowCard:
    """A card of a type, with as many of the arguments as its constructor takes.

    Args:
        kind: Its class.
        options: What ``@card(options=…)`` says.
        components: Rendered.
        flow: The flow object.
        facts: Of the task.
    """
    from flowsdk.graph_info import graph_info

    arguments: dict[str, Any] = {"options": dict(options), "components": components, "flow": flow}
    arguments["graph"] = graph_info(type(flow))["steps"]
    parameters = inspect.signature(kind).parameters
    if not any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values()):
        arguments = {name: value for name, value in arguments.items() if name in parameters}
    card = kind(**arguments)
    if isinstance(card, BuiltinCard):
        card.facts = facts
    return card


def checked(card: MetaflowCard, html: object) -> str:
    """What a card has rendered, without secrets.

    Raises:
        TypeError: It is not a text.
    """
    if not isinstance(html, str):
        raise TypeError(f"render() returned {short_repr(html)}, expected a text of HTML.")
    # In a card of ours they have been replaced in the values: its scripts must stay as they are.
    return html if isinstance(card, BuiltinCard) else redact(html)


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Within, code that runs longer is broken off by _TookTooLong.

    The step's own ``@timeout`` uses the same timer: it stands still meanwhile, for a card is no
    reason for a task to fail.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread receives signals
        return

    def on_alarm(_: int, __: FrameType | None) -> None:
        raise _TookTooLong

    remaining, interval = signal.setitimer(signal.ITIMER_REAL, 0)
    before = signal.signal(signal.SIGALRM, on_alarm)
    try:
        signal.setitimer(signal.ITIMER_REAL, seconds)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        signal.setitimer(signal.ITIMER_REAL, remaining, interval)
