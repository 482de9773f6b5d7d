"""Parsers for ``Config(…, parser=…)``: from the text of a file to a dict.

Those of package lists return ``{"packages": {name: version}, "python": version}``, the form that
``@pypi`` and ``@conda`` take; the version of Python is None if the file says nothing of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from typing import Any

#: A requirement as https://packaging.python.org/en/latest/specifications/dependency-specifiers/
#: has it, as far as it names packages: name, extras, then a URL or versions.
_REQUIREMENT = re.compile(
    r"(?P<name>[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?P<extras>\[[^\]]*\])?\s*"
    r"(@\s*(?P<url>\S+)|\(?(?P<versions>((===|==|~=|!=|<=|>=|<|>)\s*[^\s,;()]+\s*,?\s*)*)\)?)"
    r"\s*(?P<marker>;.*)?"
)
_CONDA = re.compile(
    r"(?P<name>([\w.-]+::)?[A-Za-z0-9_][\w.-]*)\s*(?P<operator>===|==|=|~=|!=|<=|>=|<|>)?\s*"
    r"(?P<version>[^\s=<>!~]\S*)?"
)


def yaml_parser(content: str) -> Any:
    """The value of a YAML text.

    Raises:
        ImportError: PyYAML is not installed.
    """
    try:
        import yaml  # type: ignore[import-untyped]  # optional, without types
    except ImportError as error:
        raise ImportError(
            "YAML needs the package PyYAML, which is not installed. Install it (pip install "
            "pyyaml), or use JSON."
        ) from error
    return yaml.safe_load(content)


def requirements_txt_parser(content: str) -> dict[str, Any]:
    """The packages of a ``requirements.txt``; a line ``python==3.11`` gives the version of Python.

    Raises:
        ValueError: A line is an option of pip, has a marker, or is not understood.
    """
    return _requirements(re.sub(r"(^|\s)#.*", "", line).strip() for line in content.splitlines())


def pyproject_toml_parser(content: str) -> dict[str, Any]:
    """The dependencies and ``requires-python`` of the ``[project]`` table of a ``pyproject.toml``.

    Raises:
        ValueError: It is no TOML, or has a dependency with a marker.
        ImportError: Python is older than 3.11 and the package tomli is not installed.
    """
    project = _toml(content).get("project", {})
    result = _requirements(project.get("dependencies", ()))
    if "requires-python" in project:
        result["python"] = project["requires-python"]
    return result


def conda_environment_yml_parser(content: str) -> dict[str, Any]:
    """The dependencies of a conda ``environment.yml``: a list of ``name``, ``name=1.2`` and the like.

    Raises:
        ValueError: There is no such list, or it has something else in it, such as ``pip:``.
    """
    packages: dict[str, str] = {}
    result: dict[str, Any] = {"packages": packages, "python": None}
    found = False
    inside = False
    for number, raw in enumerate(content.splitlines(), 1):
        line = re.sub(r"(^|\s)#.*", "", raw).rstrip()
        if not line:
            continue
        if not line.startswith((" ", "-")):
            inside = line == "dependencies:"
            found = found or inside
        elif inside:
            name, version = _conda_dependency(line, number)
            if name == "python":
                result["python"] = version
            else:
                packages[name] = version
    if not found:
        raise ValueError("found no list 'dependencies:'")
    return result


def _conda_dependency(line: str, number: int) -> tuple[str, str]:
    match = _CONDA.fullmatch(line.strip().removeprefix("-").strip().strip("'\""))
    if not line.strip().startswith("- ") or match is None:
        raise ValueError(f"line {number}: found {line.strip()!r}, expected '- name=version'")
    operator, version = match["operator"] or "", match["version"] or ""
    if bool(operator) != bool(version):
        raise ValueError(f"line {number}: found {line.strip()!r}, expected '- name=version'")
    return match["name"], version if operator in ("", "=", "==") else operator + version


def _toml(content: str) -> dict[str, Any]:
    for name in ("tomllib", "tomli"):  # Python has the first from 3.11 on
        try:
            found: dict[str, Any] = import_module(name).loads(content)
        except ImportError:
            continue
        return found
    raise ImportError(
        "TOML needs Python 3.11 or the package tomli. Install it (pip install tomli)."
    )


def _requirements(lines: Iterable[str]) -> dict[str, Any]:
    packages: dict[str, str] = {}
    result: dict[str, Any] = {"packages": packages, "python": None}
    for line in filter(None, lines):
        match = _REQUIREMENT.fullmatch(line)
        if match is None or match["marker"]:
            why = "environment markers are not supported" if match else "expected a requirement"
            raise ValueError(f"found {line!r}, {why}")
        name = match["name"] + re.sub(r"\s", "", match["extras"] or "")
        versions = re.sub(r"\s", "", match["versions"] or "").rstrip(",")
        exact = versions.removeprefix("==") if versions.count("=") == 2 else versions
        if name == "python":
            result["python"] = exact
        else:
            packages[f"{name}@{match['url']}" if match["url"] else name] = exact
    return result
