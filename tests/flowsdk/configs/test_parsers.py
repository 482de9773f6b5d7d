from __future__ import annotations

import sys

import pytest

from flowsdk import (
    conda_environment_yml_parser,
    pyproject_toml_parser,
    requirements_txt_parser,
    yaml_parser,
)


def test_requirements_txt() -> None:
    text = """
    # what we need
    python==3.11
    numpy==2.0   # exactly
    requests[socks, security] >=2, <3
    pandas
    mine @ https://example.com/mine.zip
    """
    assert requirements_txt_parser(text) == {
        "packages": {
            "numpy": "2.0",
            "requests[socks,security]": ">=2,<3",
            "pandas": "",
            "mine@https://example.com/mine.zip": "",
        },
        "python": "3.11",
    }


@pytest.mark.parametrize("line", ["-r other.txt", "--pre", "a; python_version < '3'", "a b", "=1"])
def test_requirements_that_are_refused(line: str) -> None:
    with pytest.raises(ValueError, match="found"):
        requirements_txt_parser(line)


def test_pyproject_toml() -> None:
    pytest.importorskip("tomllib" if sys.version_info >= (3, 11) else "tomli")
    text = '[project]\nrequires-python = ">=3.10"\ndependencies = ["numpy>=2", "x"]\n'
    assert pyproject_toml_parser(text) == {
        "packages": {"numpy": ">=2", "x": ""},
        "python": ">=3.10",
    }
    assert pyproject_toml_parser("") == {"packages": {}, "python": None}


def test_conda_environment_yml() -> None:
    text = "name: x\nchannels:\n  - conda-forge\ndependencies:\n- python=3.11\n  - numpy = 2.0\n  - 'scipy>=1'\n  - conda-forge::zlib\n"
    assert conda_environment_yml_parser(text) == {
        "packages": {"numpy": "2.0", "scipy": ">=1", "conda-forge::zlib": ""},
        "python": "3.11",
    }


@pytest.mark.parametrize(
    "text", ["name: x", "dependencies:\n  - pip:\n    - x", "dependencies:\n  x"]
)
def test_conda_environments_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="found"):
        conda_environment_yml_parser(text)


def test_yaml() -> None:
    pytest.importorskip("yaml")
    assert yaml_parser("a: [1, {b: c}]") == {"a": [1, {"b": "c"}]}


def test_yaml_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ImportError, match="pip install pyyaml"):
        yaml_parser("a: 1")
