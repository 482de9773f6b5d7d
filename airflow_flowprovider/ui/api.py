"""Bulk reads of what flows leave in XComs, behind Airflow's own per-DAG authorization.

Airflow's public API lists XComs without their values: reading a run of a thousand tasks takes a
thousand requests. Here a hundred such runs take one.
"""

from typing import Annotated, Any, Literal

from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import requires_access_dag
from airflow.models.xcom import XComModel
from fastapi import Depends, FastAPI
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import func, select

#: XComs a call; 60 MB of JSON at most, a few as a rule.
MAX_PAGE = 10_000
MAX_RUNS = 1_000

app = FastAPI(title="Flow records")


class XComsBody(BaseModel):
    """What is asked for, in the manner of Airflow's ``POST …/list``: run ids do not fit into a URL.

    Attributes:
        run_ids: Runs of the DAG.
        keys: Task records, tags of runs, or both.
        page_limit: XComs at most.
        page_offset: XComs to skip.
    """

    model_config = ConfigDict(extra="forbid")

    run_ids: Annotated[list[str], Field(min_length=1, max_length=MAX_RUNS)]
    # The provider's keys, and no other's: those of ``airflow_flowprovider.records``.
    keys: Annotated[list[Literal["flow_task", "flow_tags"]], Field(min_length=1)] = [
        "flow_task",
        "flow_tags",
    ]
    page_limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = MAX_PAGE
    page_offset: Annotated[int, Field(ge=0)] = 0


@app.post(
    "/api/dags/{dag_id}/xcoms/list",
    dependencies=[Depends(requires_access_dag(method="GET", access_entity=DagAccessEntity.XCOM))],
)
def list_xcoms(dag_id: str, body: XComsBody, session: SessionDep) -> dict[str, Any]:
    """The flow's XComs of runs of a DAG, by run, task, map index and key.

    Args:
        dag_id: The DAG; the caller must be allowed to read its XComs.
        body: What is asked for.
        session: Airflow's database.
    """
    wanted = (
        XComModel.dag_id == dag_id,
        XComModel.run_id.in_(body.run_ids),
        XComModel.key.in_(body.keys),
    )
    names = ("run_id", "task_id", "map_index", "key", "value")
    columns = [getattr(XComModel, name) for name in names]
    query = (
        select(*columns)
        .where(*wanted)
        .order_by(*columns[:-1])
        .limit(body.page_limit)
        .offset(body.page_offset)
    )
    return {
        "xcoms": [dict(zip(names, row, strict=True)) for row in session.execute(query)],
        "total_entries": session.scalar(select(func.count()).where(*wanted)),
    }
