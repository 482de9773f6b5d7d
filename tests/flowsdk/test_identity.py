from __future__ import annotations

import getpass

import pytest

from flowsdk.identity import user_name


def test_our_variable_wins_over_metaflows_and_both_over_the_login_name() -> None:
    assert user_name({"FLOWSDK_USER": "ada", "METAFLOW_USER": "bob"}) == "ada"
    assert user_name({"FLOWSDK_USER": "", "METAFLOW_USER": "bob"}) == "bob"
    assert user_name({}) == getpass.getuser()


def test_a_user_without_a_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise OSError("no such user")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert user_name({}) == "unknown"
