"""``@secrets``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from flowsdk.decorators.base import StepDecorator
from flowsdk.exception import SecretsError
from flowsdk.places import script_of

if TYPE_CHECKING:
    from flowsdk.decorators.running import RunningTask
    from flowsdk.plugins.secrets import SecretSource

#: How many values of a task's artifacts are looked at for secrets, at most.
_SEARCHED = 100_000


class Secrets(StepDecorator):
    """Give a step's task secrets as environment variables, for as long as its code runs.

    They are read in the task's own process, wherever that is, and are nowhere else: what the task
    or programs that it starts print is stored with ``***`` in their place, and so are the messages
    of errors. A step that assigns one to an artifact fails. Values of less than 4 characters are
    not looked for, nor are those that the step has encoded in another way.

    Args:
        sources: Each ``"id"``, ``"type.id"`` or ``{"type": …, "id": …, "options": {…}, "role": …}``;
            types are ``aws-secrets-manager``, ``env-file`` and ``inline``. Or a function of the flow
            that returns such a list.
        role: AWS role with which sources are read that name none.
        allow_override: Whether a variable may be one that is set already. Default False.
    """

    name = "secrets"
    defaults: ClassVar[Mapping[str, Any]] = {"sources": [], "role": None, "allow_override": False}

    def check(self) -> None:
        """The sources must be ones that can be read, as far as that shows here."""
        a = self.attributes
        if a["role"] is not None and not isinstance(a["role"], str):
            raise self.error(f"role={a['role']!r}, expected the ARN of a role.")
        if not isinstance(a["allow_override"], bool):
            raise self.error(f"allow_override={a['allow_override']!r}, expected True or False.")
        if not callable(a["sources"]):
            self._parse(a["sources"])

    def spec(self) -> str:
        """As ``--with`` takes it; refused for what would store a secret with the run."""
        if callable(self.attributes["sources"]):
            raise self.error("found a function for sources, which --with cannot hand on.")
        if any(source.type == "inline" for source in self._parse(self.attributes["sources"])):
            raise self.error("found an inline source; --with would store the secret with the run.")
        return super().spec()

    def __repr__(self) -> str:
        return "@secrets(…)"  # a source may be inline

    def around(self, task: RunningTask) -> AbstractContextManager[Any]:
        """Set the variables and restore what was there before."""
        return self._injected(task)

    @contextmanager
    def _injected(self, task: RunningTask) -> Iterator[None]:
        from flowsdk.runtime.redaction import hide

        sources = self.attributes["sources"]
        values = self._read(task, sources(task.flow) if callable(sources) else sources)
        hide(values.values())
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
        _require_no_secret(task, values)

    def _parse(self, sources: Any) -> list[SecretSource]:
        from flowsdk.plugins.secrets import SecretSource

        if not isinstance(sources, (list, tuple)):
            raise self.error(f"sources={type(sources).__name__}, expected a list.")
        try:
            return [SecretSource.parse(source, self.attributes["role"]) for source in sources]
        except SecretsError as error:
            raise self.error(str(error)) from error

    def _read(self, task: RunningTask, sources: Any) -> dict[str, str]:
        values: dict[str, str] = {}
        giver: dict[str, SecretSource] = {}
        for source in self._parse(sources):
            for name, value in source.read(script_of(type(task.flow)).parent).items():
                if name in giver:
                    raise SecretsError(
                        f"Step {task.spec.step!r}: both {giver[name]} and {source} set {name!r}, "
                        f"expected one of them."
                    )
                if name in os.environ and not self.attributes["allow_override"]:
                    raise SecretsError(
                        f"Step {task.spec.step!r}: {source} sets {name!r}, which is set already. "
                        f"Pass allow_override=True if the secret is to win."
                    )
                values[name], giver[name] = value, source
        return values


def _require_no_secret(task: RunningTask, values: Mapping[str, str]) -> None:
    """Refuse artifacts that hold a secret: they would be stored for everybody to read."""
    from flowsdk.runtime.redaction import SHORTEST

    wanted = {name: value for name, value in values.items() if len(value) >= SHORTEST}
    if not wanted:
        return
    for artifact, value in task.flow._values().items():
        for text in _texts(value):
            found = next((name for name, secret in wanted.items() if secret in text), None)
            if found:
                place = task.flow_task.places().get(artifact)
                where = f"step {task.spec.step!r}" + (f", {place}" if place else "")
                raise SecretsError(
                    f"Artifact {artifact!r} ({where}) holds the secret {found!r}, "
                    f"expected no artifact that does: artifacts are stored. Read "
                    f"os.environ[{found!r}] where it is needed."
                )


def _texts(value: Any) -> Iterator[str]:
    """The texts in a value: its own, its elements', its attributes'."""
    todo, seen = [value], set[int]()
    while todo and len(seen) < _SEARCHED:
        value = todo.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, (bytes, bytearray)):
            yield bytes(value).decode("utf-8", "replace")
        elif id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, Mapping):
                todo += [*value.keys(), *value.values()]
            elif isinstance(value, (list, tuple, set, frozenset)):
                todo += islice(value, _SEARCHED)
            else:
                todo.append(getattr(value, "__dict__", None))


secrets = Secrets.decorate
