"""``SecretSource``: which secret is meant, and where it is kept."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flowsdk.exception import SecretsError, did_you_mean
from flowsdk.plugins.secrets.providers import PROVIDERS, SecretsProvider

_KEYS = ("type", "id", "options", "role")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: What these variables say must not depend on a secret: they say where everything else is.
_RESERVED = ("METAFLOW_", "FLOWSDK_")
#: Where secrets are kept whose source does not say it; runs are on AWS.
_DEFAULT_TYPE = "aws-secrets-manager"


@dataclass(frozen=True)
class SecretSource:
    """One secret.

    Attributes:
        type: Where it is kept: ``aws-secrets-manager``, ``env-file`` or ``inline``.
        id: Its name there.
        options: What else the provider needs to know.
        role: AWS role that may read it; None for the task's own rights.
    """

    type: str
    id: str
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    role: str | None = None

    @classmethod
    def parse(cls, source: Any, role: str | None = None) -> SecretSource:
        """A source as it is written: ``"id"``, ``"type.id"`` or a dict of the attributes.

        Args:
            source: The source. In a text, a type comes before the first dot; an id with a dot needs
                the dict. Without a type, FLOWSDK_DEFAULT_SECRETS_BACKEND_TYPE (or METAFLOW_…)
                names it, else it is ``aws-secrets-manager``.
            role: Used where the source names none.

        Raises:
            SecretsError: It is of another form, of an unknown type, or has unknown options.
        """
        if isinstance(source, str):
            kind, dot, name = source.partition(".")
            source = {"type": kind, "id": name} if dot else {"id": source}
        if not isinstance(source, Mapping):
            raise SecretsError(
                f"Secret {source!r}: expected 'id', 'type.id' or a dict with type, id, options, role."
            )
        for key in source:
            if key not in _KEYS:
                raise SecretsError(
                    f"Secret {source.get('id')!r}: found {key!r}, expected {', '.join(_KEYS)}."
                    f"{did_you_mean(str(key), _KEYS)}"
                )
        made = cls(
            source.get("type") or _setting("DEFAULT_SECRETS_BACKEND_TYPE") or _DEFAULT_TYPE,
            source.get("id") or "",
            source.get("options") or {},
            source.get("role") or role or _setting("DEFAULT_SECRETS_ROLE"),
        )
        made._provider.check(made.id, made.options)
        return made

    def read(self, folder: Path | None = None) -> dict[str, str]:
        """The secret as environment variables.

        Args:
            folder: Where files are looked for, besides the current folder.

        Raises:
            SecretsError: It cannot be read, or has names that no variable should have.
        """
        values: Mapping[str, Any] = self._provider.read(self.id, self.options, self.role, folder)
        for name, value in values.items():
            if not _VARIABLE.fullmatch(name):
                raise SecretsError(f"{self}: found {name!r}, expected the name of a variable.")
            if name.upper().startswith(_RESERVED):
                raise SecretsError(
                    f"{self}: found {name!r}, expected no name that begins with "
                    f"{' or '.join(_RESERVED)}."
                )
            if not isinstance(value, str) or "\0" in value:
                raise SecretsError(f"{self}: the value of {name!r} is no text for a variable.")
        return dict(values)

    def __str__(self) -> str:
        return f"Secret {self.id!r} ({self.type})"

    @property
    def _provider(self) -> SecretsProvider:
        if self.type not in PROVIDERS:
            raise SecretsError(
                f"Secret {self.id!r}: found type {self.type!r}, expected {', '.join(PROVIDERS)}."
                f"{did_you_mean(str(self.type), PROVIDERS)} An id with a dot in it is written "
                f"{{'type': …, 'id': …}}."
            )
        return PROVIDERS[self.type]


def get_secret(source: str | Mapping[str, Any], role: str | None = None) -> dict[str, str]:
    """Read a secret; its variables are not set, and in a task its values are kept out of the log.

    Args:
        source: As in ``@secrets(sources=[…])``.
        role: AWS role that may read it.

    Raises:
        SecretsError: It cannot be read.
    """
    from flowsdk.runtime.redaction import hide

    values = SecretSource.parse(source, role).read()
    hide(values.values())
    return values


def _setting(name: str) -> str | None:
    return os.environ.get(f"FLOWSDK_{name}") or os.environ.get(f"METAFLOW_{name}")
