from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flowsdk.exception import SecretsError
from flowsdk.plugins.secrets import SecretSource, get_secret
from flowsdk.plugins.secrets import providers as kinds


def inline(**variables: Any) -> dict[str, Any]:
    return {"type": "inline", "id": "x", "options": {"env_vars": variables}}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("db", ("aws-secrets-manager", "db", {}, "default-role")),
        ("env-file..env", ("env-file", ".env", {}, "default-role")),
        ({"id": "a.b", "role": "own"}, ("aws-secrets-manager", "a.b", {}, "own")),
        (
            {"type": "aws-secrets-manager", "id": "a", "options": {"json": False}},
            ("aws-secrets-manager", "a", {"json": False}, "default-role"),
        ),
    ],
)
def test_sources_are_written_in_three_ways(source: Any, expected: tuple[Any, ...]) -> None:
    found = SecretSource.parse(source, "default-role")
    assert (found.type, found.id, found.options, found.role) == expected


def test_the_environment_says_where_secrets_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METAFLOW_DEFAULT_SECRETS_BACKEND_TYPE", "env-file")
    monkeypatch.setenv("FLOWSDK_DEFAULT_SECRETS_ROLE", "arn:role")
    found = SecretSource.parse("x")
    assert (found.type, found.role) == ("env-file", "arn:role")


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("env-fil.x", "found type 'env-fil', expected .* Did you mean 'env-file'"),
        (7, "expected 'id', 'type.id' or a dict"),
        ({"id": "x", "rolle": "y"}, "found 'rolle', expected .* Did you mean 'role'"),
        ({"id": "x", "options": {"jsn": True}}, "found option 'jsn'.* Did you mean 'json'"),
        ({"id": "x", "options": [1]}, "expected options that are a dict"),
        ({"type": "env-file"}, "expected an id"),
        ({"type": "inline", "options": {"env_vars": 1}}, "expected options="),
    ],
)
def test_sources_that_are_refused_unread(source: Any, message: str) -> None:
    with pytest.raises(SecretsError, match=message):
        SecretSource.parse(source)


@pytest.mark.parametrize("name", ["METAFLOW_X", "flowsdk_x", "1a", "a b", ""])
def test_names_that_no_variable_may_have(name: str) -> None:
    with pytest.raises(SecretsError, match=f"found '{name}', expected"):
        get_secret(inline(**{name: "v"}))


@pytest.mark.parametrize("value", [1, "a\0b"])
def test_values_that_no_variable_may_have_are_not_shown(value: Any) -> None:
    with pytest.raises(SecretsError, match="the value of 'A' is no text") as caught:
        get_secret(inline(A=value))
    assert repr(value) not in str(caught.value)


def test_an_environment_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(
        "# comment\n\nA=1\nexport B = two words # comment\nC='single # $x'\n"
        'D="a\\n\\"b\\""  # comment\nE=\nF=a#b\n'
    )
    assert get_secret("env-file..env") == {
        "A": "1", "B": "two words", "C": "single # $x", "D": 'a\n"b"', "E": "", "F": "a#b",
    }  # fmt: skip
    assert get_secret({"type": "environment-file", "id": str(tmp_path / ".env")})["A"] == "1"


def test_an_environment_file_beside_the_flow(tmp_path: Path) -> None:
    (tmp_path / "mine.env").write_text("A=1")
    assert SecretSource.parse("env-file.mine.env").read(tmp_path) == {"A": "1"}
    with pytest.raises(SecretsError, match=f"expected .* or {tmp_path}/no.env"):
        SecretSource.parse("env-file.no.env").read(tmp_path)


def test_a_malformed_line_is_located_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "e").write_text("A=1\nmy-password")
    with pytest.raises(SecretsError, match="e:2: found another line") as caught:
        get_secret("env-file.e")
    assert "my-password" not in str(caught.value)


class FakeManager:
    def __init__(self, **answer: Any) -> None:
        self.answer = answer

    def get_secret_value(self, SecretId: str) -> dict[str, Any]:
        return {"Name": "team/my-db.main", **self.answer}


@pytest.mark.parametrize(
    ("answer", "options", "expected"),
    [
        ({"SecretString": '{"user-name": "u", "port": 5, "on": {"a": 1}}'}, {},
         {"user_name": "u", "port": "5", "on": '{"a": 1}'}),
        ({"SecretString": '{"a": "b"}'}, {"prefix": "DB_"}, {"DB_a": "b"}),
        ({"SecretString": '{"a": "b"}'}, {"json": False}, {"team_my_db_main": '{"a": "b"}'}),
        ({"SecretString": "plain"}, {}, {"team_my_db_main": "plain"}),
        ({"SecretString": "plain"}, {"env_var_name": "TOKEN"}, {"TOKEN": "plain"}),
        ({"SecretBinary": b"\x00\x01"}, {}, {"team_my_db_main": "AAE="}),
    ],
)  # fmt: skip
def test_what_aws_secrets_manager_holds(
    monkeypatch: pytest.MonkeyPatch, answer: Any, options: Any, expected: Any
) -> None:
    monkeypatch.setattr(kinds, "_client", lambda *_: FakeManager(**answer))
    assert get_secret({"id": "db", "options": options}) == expected


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("plain-secret", {"json": True}, "found no JSON object, expected one"),
        ('{"a-b": 1, "a.b": 2}', {}, "found 'a_b' twice"),
    ],
)
def test_what_aws_secrets_manager_holds_and_cannot_be_used(
    monkeypatch: pytest.MonkeyPatch, text: str, options: Any, message: str
) -> None:
    monkeypatch.setattr(kinds, "_client", lambda *_: FakeManager(SecretString=text))
    with pytest.raises(SecretsError, match=message) as caught:
        get_secret({"id": "db", "options": options})
    assert "plain-secret" not in str(caught.value)
