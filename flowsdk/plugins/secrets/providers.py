"""The kinds of places where secrets are kept. Values never stand in an error message."""

from __future__ import annotations

import base64
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from flowsdk.exception import SecretsError, did_you_mean

_ARN = re.compile(r"arn:[^:]+:secretsmanager:(?P<region>[^:]+):")
_LINE = re.compile(r"(export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)")
_QUOTED = re.compile(r"(?P<quote>['\"])(?P<text>.*?)(?<!\\)(?P=quote)\s*(#.*)?")
_ESCAPES = {"\\n": "\n", "\\t": "\t", '\\"': '"', "\\\\": "\\"}


class SecretsProvider(ABC):
    """Reads secrets of one kind."""

    #: Names of the options that a source may have.
    options: ClassVar[tuple[str, ...]] = ()

    def check(self, name: Any, options: Any) -> None:
        """Raise SecretsError if a source cannot be meant so; nothing is read."""
        if not isinstance(name, str) or not name:
            raise SecretsError(f"Secret {name!r}: expected an id that is a text.")
        if not isinstance(options, Mapping):
            raise SecretsError(f"Secret {name!r}: expected options that are a dict.")
        for option in options:
            if option not in self.options:
                raise SecretsError(
                    f"Secret {name!r}: found option {option!r}, expected "
                    f"{', '.join(self.options) or 'none'}.{did_you_mean(str(option), self.options)}"
                )

    @abstractmethod
    def read(
        self, name: str, options: Mapping[str, Any], role: str | None, folder: Path | None
    ) -> dict[str, str]:
        """The secret's variables; see ``SecretSource.read``."""


class InlineSecrets(SecretsProvider):
    """Secrets that stand in the flow itself: for tests, since the code is stored with the run."""

    options = ("env_vars",)

    def check(self, name: Any, options: Any) -> None:
        """The id says nothing, and may be missing."""
        super().check(name or "inline", options)
        if not isinstance(options.get("env_vars", {}), Mapping):
            raise SecretsError("Secret of type 'inline': expected options={'env_vars': {…}}.")

    def read(
        self, name: str, options: Mapping[str, Any], role: str | None, folder: Path | None
    ) -> dict[str, str]:
        """As the options say."""
        del name, role, folder
        return dict(options.get("env_vars", {}))


class EnvironmentFile(SecretsProvider):
    """A file of lines ``NAME=value``, such as ``.env``; values may be quoted. The id is its path."""

    def read(
        self, name: str, options: Mapping[str, Any], role: str | None, folder: Path | None
    ) -> dict[str, str]:
        """The file's variables."""
        del options, role
        folders = [Path.cwd(), *([folder] if folder else [])]
        places = list(dict.fromkeys(place / Path(name).expanduser() for place in folders))
        file = next((place for place in places if place.is_file()), None)
        if file is None:
            raise SecretsError(
                f"Secret {name!r} (env-file): found no such file, expected "
                f"{' or '.join(map(str, places))}."
            )
        try:
            return dict(_variables(file.read_text("utf-8"), file))
        except (OSError, ValueError) as error:
            raise SecretsError(f"Secret {name!r} (env-file): {file} cannot be read.") from error


class AwsSecretsManager(SecretsProvider):
    """AWS Secrets Manager; the id is a secret's name or ARN.

    Options: ``json`` – True: the secret must be a JSON object, whose entries become variables;
    False: all of it is one variable; by default whichever it is. ``env_var_name`` – of the one
    variable; by default the secret's name with ``_`` for ``-``, ``.`` and ``/``. ``prefix`` – put
    before every name. ``region`` – by default the ARN's, then the environment's.
    """

    options = ("json", "env_var_name", "prefix", "region")

    def read(
        self, name: str, options: Mapping[str, Any], role: str | None, folder: Path | None
    ) -> dict[str, str]:
        """The current version of the secret."""
        del folder
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = _client(name, options, role).get_secret_value(SecretId=name)
        except (BotoCoreError, ClientError) as error:
            raise SecretsError(f"Secret {name!r} (aws-secrets-manager): {error}") from error
        own_name = options.get("env_var_name") or found.get("Name", name)
        if "SecretString" in found:
            values = _from_text(name, found["SecretString"], own_name, options.get("json"))
        else:
            values = {own_name: base64.b64encode(found["SecretBinary"]).decode()}
        result: dict[str, str] = {}
        for key, value in values.items():
            variable = str(options.get("prefix", "")) + re.sub(r"[-./]", "_", key)
            if variable in result:
                raise SecretsError(f"Secret {name!r}: found {variable!r} twice, expected it once.")
            result[variable] = value
        return result


PROVIDERS: dict[str, SecretsProvider] = {
    "aws-secrets-manager": AwsSecretsManager(),
    "env-file": EnvironmentFile(),
    "environment-file": EnvironmentFile(),
    "inline": InlineSecrets(),
}


def _from_text(name: str, text: str, own_name: str, as_json: bool | None) -> dict[str, str]:
    if as_json is not False:
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return {key: _as_text(value) for key, value in found.items()}
        if as_json:
            # From nothing: what json says of a text that it cannot read shows a part of it.
            raise SecretsError(
                f"Secret {name!r}: found no JSON object, expected one. Pass options={{'json': False}} "
                f"to have all of it in one variable."
            )
    return {own_name: text}


def _as_text(value: Any) -> str:
    return json.dumps(value) if isinstance(value, (dict, list)) else str(value)


def _client(name: str, options: Mapping[str, Any], role: str | None) -> Any:
    import boto3

    arn = _ARN.match(name)
    region = (
        (arn["region"] if arn else options.get("region"))
        or os.environ.get("FLOWSDK_AWS_SECRETS_MANAGER_DEFAULT_REGION")
        or os.environ.get("METAFLOW_AWS_SECRETS_MANAGER_DEFAULT_REGION")
    )
    more: dict[str, Any] = {"region_name": region} if region else {}
    if role:
        given = boto3.client("sts", **more).assume_role(RoleArn=role, RoleSessionName="flowsdk")
        more |= {
            "aws_access_key_id": given["Credentials"]["AccessKeyId"],
            "aws_secret_access_key": given["Credentials"]["SecretAccessKey"],
            "aws_session_token": given["Credentials"]["SessionToken"],
        }
    return boto3.client("secretsmanager", **more)


def _variables(text: str, file: Path) -> Iterator[tuple[str, str]]:
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise SecretsError(f"{file}:{number}: found another line, expected NAME=value.")
        quoted = _QUOTED.fullmatch(match["value"])
        if quoted is None:
            yield match["name"], re.split(r"\s#", match["value"], maxsplit=1)[0].strip()
        elif quoted["quote"] == "'":
            yield match["name"], quoted["text"]
        else:
            yield (
                match["name"],
                re.sub(r'\\[nt"\\]', lambda found: _ESCAPES[found.group()], quoted["text"]),
            )
