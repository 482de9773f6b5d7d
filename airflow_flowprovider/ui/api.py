"""Bulk reads of task records, behind Airflow's own per-DAG authorization.

Airflow's public API lists XComs without their values: reading a run of a thousand tasks takes a
thousand requests. Here it takes one.
"""

from typing import Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.xcom import XComModel
from fastapi import Depends, FastAPI, Query
from sqlalchemy import select

from airflow_flowprovider.records import RECORD_KEY

#: Records a call; 60 MB of JSON at most, a few as a rule.
MAX_PAGE = 10_000
MAX_RUNS = 1_000

app = FastAPI(title="Flow records")


@app.get(
    "/api/dags/{dag_id}/records",
    dependencies=[Depends(requires_access_dag(method="GET", access_entity=DagAccessEntity.XCOM))],
)
def list_records(
    dag_id: str,
    session: SessionDep,
    run_id: Annotated[list[str], Query(min_length=1, max_length=MAX_RUNS)],
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = MAX_PAGE,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, list[dict[str, Any]]]:
    """The task records of runs of a DAG, by run, task and map index.

    Args:
        dag_id: The DAG; the caller must be allowed to read its XComs.
        session: Airflow's database.
        run_id: One or more runs.
        limit: Records at most.
        offset: Records to skip.
    """
    query = (
        select(XComModel.run_id, XComModel.task_id, XComModel.map_index, XComModel.value)
        .where(
            XComModel.dag_id == dag_id,
            XComModel.run_id.in_(run_id),
            XComModel.key == RECORD_KEY,
        )
        .order_by(XComModel.run_id, XComModel.task_id, XComModel.map_index)
        .limit(limit)
        .offset(offset)
    )
    names = ("run_id", "task_id", "map_index", "record")
    return {"records": [dict(zip(names, row, strict=True)) for row in session.execute(query)]}
