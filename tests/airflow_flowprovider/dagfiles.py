"""What Airflow makes of a DAG file."""

from __future__ import annotations

import json
from functools import cached_property
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from tests.airflow_flowprovider.moved import DagBag, DagSerialization

#: Of a serialized DAG, what depends on where the file lies.
_PLACES = ("fileloc", "relative_fileloc", "_processor_dags_folder")


class DagFile:
    """A file or archive in a dags folder.

    Args:
        path: Where it is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def bag(self) -> DagBag:
        """Airflow's, after it has read this file in safe mode: only if it may contain a DAG."""
        return DagBag(self.path, safe_mode=True)

    @property
    def dags(self) -> dict[str, DAG]:
        """The DAGs by id; there must be no import error."""
        assert not self.bag.import_errors
        return dict(self.bag.dags)

    @property
    def dag(self) -> DAG:
        """The only one."""
        (dag,) = self.dags.values()
        return dag

    @property
    def import_error(self) -> str:
        """The text that Airflow shows for this file."""
        (error,) = self.bag.import_errors.values()
        return error


def serialized(dag: DAG) -> dict[str, Any]:
    """What Airflow stores of a DAG, but for where its file lies."""
    document = DagSerialization.to_dict(dag)
    return {key: value for key, value in document["dag"].items() if key not in _PLACES}


def canonical(document: Any) -> bytes:
    """The bytes that Airflow takes the hash of, which decides on a new DAG version.

    The order of keys is left to chance by Airflow itself.
    """
    return json.dumps(document, sort_keys=True).encode()
