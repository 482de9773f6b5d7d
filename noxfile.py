"""Tests with the older versions of Airflow that are supported; ``make test`` has the newest.

``nox -s airflow-3.1`` runs what touches Airflow, ``nox -s airflow-3.1 -- tests/airflow_flowprovider``
what is named. ``nox -s lock`` renews what the sessions install.
"""

from __future__ import annotations

from pathlib import Path

import nox

OLDER = ("3.1", "3.2")
UNITS = ("tests/contract", "tests/airflow_flowprovider")
STORIES = ("tests/e2e/test_examples.py", "tests/e2e/test_running.py")

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv"
nox.options.sessions = [f"airflow-{version}" for version in OLDER]
# Certificates that this system trusts; where they differ from uv's own, a company's proxy does.
UV = {"UV_SYSTEM_CERTS": "1"}


def lock_file(version: str) -> str:
    """What a session installs."""
    return f"constraints-airflow{version.replace('.', '')}.txt"


def session_with(version: str) -> None:
    """Make the session that tests with one version of Airflow."""

    @nox.session(name=f"airflow-{version}")
    def run(session: nox.Session) -> None:
        locked = lock_file(version)
        session.install("-c", locked, "-b", locked, "-e", ".[airflow,local,dev]", env=UV)
        # What older versions use has since been deprecated: no matter of ours.
        pytest = ("python", "-m", "pytest", "-W", "default")
        if session.posargs:
            session.run(*pytest, *session.posargs)
        else:
            session.run(*pytest, "-m", "not e2e", "-n", "auto", "--dist", "worksteal", *UNITS)
            session.run(*pytest, *STORIES)


for older in OLDER:
    session_with(older)


@nox.session(venv_backend="none")
def lock(session: nox.Session) -> None:
    """Resolve the versions of everything, beside constraints.txt, for each older Airflow."""
    for version in OLDER:
        wanted = Path(session.create_tmp()) / "airflow.txt"
        wanted.write_text(f"apache-airflow~={version}.0\n")
        session.run(
            *("uv", "pip", "compile", "pyproject.toml", str(wanted), "--all-extras", "--universal"),
            *("--python-version", "3.10", "--no-header", "--no-annotate"),
            *("-o", lock_file(version), *session.posargs),
            env=UV,
            silent=True,
        )
