"""Airflow in the process of the tests: its database, and DAG files as its DAG processor sees them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_flowprovider import policy
from tests.airflow_flowprovider.dagfiles import DagFile


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Airflow's own tables, in the database of the session's AIRFLOW_HOME."""
    from airflow.utils.db import initdb

    initdb()


@pytest.fixture
def dag_file(tmp_path: Path) -> Callable[..., DagFile]:
    """Writes a DAG file and imports it as Airflow does: ``dag_file(source, name="flows.py")``."""
    # An installed provider's policy has been loaded with Airflow; from a bare tree it has not.
    policy.install()

    def write(source: str, name: str = "flows.py") -> DagFile:
        file = tmp_path / name
        file.write_text(textwrap.dedent(source).lstrip("\n"))
        return DagFile(file)

    return write
