"""A run that was deleted in Airflow and made again under its id must not take over its results."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from airflow_flowprovider.compat import AirflowFailException
from airflow_flowprovider.operators.runs import start_run
from flowsdk import FlowSpec
from flowsdk.datastore import FlowDatastore, keys
from tests.flowsdk.examples import RUN


def context(began: timedelta, try_number: int, dag_id: str = "DigitsFlow") -> dict[str, Any]:
    start_date = datetime.fromisoformat(RUN.created_at) + began
    return {
        "run_id": RUN.run,
        "dag_run": SimpleNamespace(start_date=start_date),
        "ti": SimpleNamespace(try_number=try_number, dag_id=dag_id),
    }


@pytest.fixture
def store(tmp_path: Path) -> FlowDatastore:
    store = FlowDatastore.at(str(tmp_path), RUN.flow)
    store.write_run(RUN)
    return store


def test_what_a_deleted_run_has_left_is_refused(store: FlowDatastore) -> None:
    with pytest.raises(AirflowFailException, match="data of an earlier run of this id"):
        start_run(FlowSpec, store, context(timedelta(hours=1), 1))


def test_what_was_refused_is_refused_until_it_is_deleted(store: FlowDatastore) -> None:
    """A user who clears the start step gives it another try, and the run another start."""
    with pytest.raises(AirflowFailException):
        start_run(FlowSpec, store, context(timedelta(hours=1), 1))
    with pytest.raises(AirflowFailException, match="data of an earlier run of this id"):
        start_run(FlowSpec, store, context(timedelta(hours=2), 2))
    store.storage.delete(list(store.storage.keys(keys.run(RUN.flow, RUN.run))))
    store.write_run(RUN)
    assert start_run(FlowSpec, store, context(timedelta(hours=2), 3)) == RUN


@pytest.mark.parametrize(("began", "try_number"), [(-1, 1), (1, 2)])
def test_the_run_itself_is_found_again(store: FlowDatastore, began: int, try_number: int) -> None:
    assert start_run(FlowSpec, store, context(timedelta(seconds=began), try_number)) == RUN


def test_the_run_of_another_branch_of_the_project_is_refused(tmp_path: Path) -> None:
    store = FlowDatastore.at(str(tmp_path), RUN.flow)
    store.write_run(replace(RUN, system_tags=("dag_id:demo.prod.DigitsFlow",)))
    ours = context(timedelta(seconds=-1), 1, "demo.test.x.DigitsFlow")
    with pytest.raises(AirflowFailException, match="found that of DAG demo.prod.DigitsFlow"):
        start_run(FlowSpec, store, ours)
    ours = context(timedelta(seconds=-1), 1, "demo.prod.DigitsFlow")
    assert start_run(FlowSpec, store, ours).run == RUN.run
