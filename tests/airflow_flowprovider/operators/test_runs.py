from __future__ import annotations

from datetime import datetime, timezone
from enum import Enum
from pathlib import Path

import pytest

from airflow_flowprovider.compat import AirflowSkipException
from airflow_flowprovider.operators.runs import facts, read_run, start_run
from flowsdk.datastore import FlowDatastore
from flowsdk.exception import FlowException, ParameterError
from flowsdk.flow import graph_of
from flowsdk.spec import RunSpec
from tests.airflow_flowprovider.operators.fakes import RUN, FakeTaskInstance, context
from tests.airflow_flowprovider.operators.flows import SampleFlow

TI = FakeTaskInstance("start", try_number=2)


def read(store: FlowDatastore, **others: str) -> RunSpec:
    """As a step in a group of a DAG does it."""
    graph = graph_of(SampleFlow)
    return read_run(store, FakeTaskInstance("g.body", others=others), graph["body"], graph)


class RunType(str, Enum):
    MANUAL = "manual"


def test_a_run_is_described_once(store: FlowDatastore) -> None:
    given = {"size": 1, "somebody_elses": True}
    run = start_run(SampleFlow, store, context(TI, given, triggering_user_name="ada"))
    assert run.flow == "SampleFlow"
    assert run.run == RUN
    assert run.parameters == {"size": 1}
    assert run.user == "ada"
    assert run.launcher == "airflow"
    assert run.script == "flows.py"
    assert "dag_id:SampleFlow" in run.system_tags
    assert run.code is not None
    assert store.storage.exists(run.code)
    assert read(store) == run


def test_a_start_step_that_runs_again_keeps_code_and_parameters(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = start_run(SampleFlow, store, context(TI, {"size": 1}))
    monkeypatch.setattr("flowsdk.package.build", lambda *_: pytest.fail("built again"))
    assert start_run(SampleFlow, store, context(TI, {"size": 2})) == first


def test_of_two_workers_the_first_wins(
    store: FlowDatastore, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = store.write_run
    rival: list[object] = []

    def write_after_a_rival(spec: object) -> bool:
        if not rival:
            rival.append(start_run(SampleFlow, FlowDatastore(store.storage, store.flow), context(TI, {"size": 1})))  # fmt: skip
        return write(spec)  # type: ignore[arg-type]

    monkeypatch.setattr(store, "write_run", write_after_a_rival)
    assert start_run(SampleFlow, store, context(TI, {"size": 2})) == rival[0]


def test_a_scheduled_run_belongs_to_the_owner(store: FlowDatastore) -> None:
    run = start_run(SampleFlow, store, context(TI, triggering_user_name=None))
    assert run.user == "airflow"
    assert run.parameters == {"size": 2}


def test_parameters_are_checked_once_more(store: FlowDatastore) -> None:
    with pytest.raises(ParameterError, match="size"):
        start_run(SampleFlow, store, context(TI, {"size": "many"}))
    with pytest.raises(FlowException, match="Clear the start step"):
        read(store, **{"g.start": "success"})
    with pytest.raises(AirflowSkipException):
        read(store, **{"g.start": "skipped"})


def test_what_a_group_is_given_wins_over_the_dag(store: FlowDatastore) -> None:
    run = start_run(SampleFlow, store, context(TI, {"size": 1}), {"size": "2"})
    assert run.parameters == {"size": 2}


def test_what_current_can_tell() -> None:
    noon = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
    known = facts(context(TI, logical_date=noon, run_after=noon, run_type=RunType.MANUAL))
    assert known == {
        "logical_date": "2026-11-21T12:00:00+00:00",
        "data_interval_start": None,
        "data_interval_end": None,
        "run_after": "2026-11-21T12:00:00+00:00",
        "dag_id": "SampleFlow",
        "try_number": 2,
        "run_type": "manual",
    }


def test_the_package_holds_the_flow_file(store: FlowDatastore) -> None:
    import io
    import tarfile

    run = start_run(SampleFlow, store, context(TI))
    data = store.storage.read(str(run.code))
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        names = archive.getnames()
        member = archive.extractfile("flows.py")
        assert member is not None
        assert member.read() == (Path(__file__).parent / "flows.py").read_bytes()
    assert "flowsdk/spec.py" in names
