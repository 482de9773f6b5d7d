from __future__ import annotations

import json
from dataclasses import replace

from airflow_flowprovider.records import (
    RECORD_KEY,
    TAGS_KEY,
    find_record,
    pull_records,
    push_record,
    push_tags,
)
from flowsdk.client import airflow_metadata
from flowsdk.record import RECORD_LIMIT, TaskRecord
from tests.airflow_flowprovider.operators.fakes import FakeTaskInstance, XComs
from tests.flowsdk.examples import RESULT, RUN

RECORD = TaskRecord.of(RESULT, "s3://b/result.json", "job")


def test_the_client_looks_for_records_where_operators_leave_them() -> None:
    assert airflow_metadata.RECORD_KEY == RECORD_KEY
    assert airflow_metadata.TAGS_KEY == TAGS_KEY


def test_a_run_begins_with_the_tags_that_it_was_asked_for_and_its_user() -> None:
    ti = FakeTaskInstance("start", xcoms={})
    push_tags(ti, replace(RUN, tags=("nightly",), system_tags=("runtime:airflow",), user="ann"))
    assert ti.own(TAGS_KEY) == {
        "schema_version": 2,
        "user": ["nightly"],
        "system": ["runtime:airflow", "user:ann"],
    }


def test_a_record_survives_the_database() -> None:
    xcoms: XComs = {}
    ti = FakeTaskInstance("fit", 2, xcoms=xcoms)
    push_record(ti, RECORD)
    text = json.dumps(ti.own(RECORD_KEY))
    assert len(text) <= RECORD_LIMIT
    xcoms["fit", RECORD_KEY, 2] = json.loads(text)
    assert find_record(ti, "fit", 2) == RECORD
    assert find_record(ti, "fit", 3) is None
    assert pull_records(ti, "fit") == [RECORD]
    push_record(FakeTaskInstance("fit", 5, xcoms=xcoms), RECORD)
    assert pull_records(ti, "fit") == [RECORD, RECORD]
    assert pull_records(ti, "evaluate") == []
