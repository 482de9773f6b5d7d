"""The XComs of flows: read in bulk from the provider's plugin, else one by one; tags written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from flowsdk.client.airflow_api import GET_PAGE, AirflowApi, ApiError
from flowsdk.client.airflow_rows import RECORD_KEY, TAGS_KEY, Rows, TagsRow, record_of, tags_of
from flowsdk.datastore.tags import RunTags

#: Records a request; a record has a KB or two as a rule.
_PAGE = 5000
_PARALLEL = 8


class FlowXComs:
    """What the operators of the provider have left in XComs.

    How it works:
        The plugin reads for many runs in one request. Where it is not installed, Airflow's public
        API lists XComs without their values, and each takes one request more.

    Args:
        api: Of the Airflow.
    """

    def __init__(self, api: AirflowApi) -> None:
        self._api = api

    def read(self, flow: str, runs: Sequence[str]) -> Rows | None:
        """Task records and tags of some runs in bulk; None where the plugin is not installed."""
        return self._bulk(flow, {"run_ids": list(runs)}, _PAGE)

    def read_one(self, flow: str, run: str) -> Rows:
        """Task records and tags of a run, with the plugin or without it."""
        rows = self.read(flow, [run])
        if rows is not None:
            return rows
        found = [
            (row, record_of(row, value)) for row, value in self._entries(flow, run, RECORD_KEY)
        ]
        records = {(row["task_id"], row["map_index"]): record for row, record in found}
        tags = self._tags_of_one(flow, run)
        return Rows({run: records}, {run: tags} if tags else {})

    def read_tags(self, flow: str, runs: Sequence[str]) -> dict[str, TagsRow]:
        """Run → tags, of those runs that have left any."""
        rows = (
            self._bulk(flow, {"run_ids": list(runs), "keys": [TAGS_KEY]}, _PAGE) if runs else Rows()
        )
        if rows is not None:
            return rows.tags
        with ThreadPoolExecutor(_PARALLEL) as pool:
            found = zip(runs, pool.map(lambda run: self._tags_of_one(flow, run), runs), strict=True)
            return {run: tags for run, tags in found if tags}

    def write_tags(self, flow: str, run: str, step: str, tags: RunTags, *, new: bool) -> None:
        """Store a run's tags.

        Args:
            flow: The DAG.
            run: Run id.
            step: The start step.
            tags: All of the run's tags.
            new: Whether the run has none yet; if somebody else was first, theirs are replaced.

        Raises:
            ApiError: Airflow refused.
        """
        path = f"{_instances(flow, run)}/{_quoted(step)}/xcomEntries"
        value = {"value": tags.to_dict(), "map_index": -1}
        done = None
        if new:
            try:
                done = self._api.send("POST", path, {"key": TAGS_KEY, **value})
            except ApiError as error:
                if error.status != 409:
                    raise
        if done is None and self._api.send("PATCH", f"{path}/{TAGS_KEY}", value) is None:
            raise ApiError(
                f"Tags of run {flow}/{run}: found no task instance of step {step!r} in Airflow, "
                f"expected the run's start step. It has been deleted, or its flow has changed.",
                404,
            )

    def _bulk(self, flow: str, wanted: Mapping[str, Any], page: int) -> Rows | None:
        path = f"/flowprovider/api/dags/{_quoted(flow)}/xcoms/list"
        body = {"keys": [RECORD_KEY, TAGS_KEY], **wanted}
        rows = Rows()
        pages = self._api.pages_if_there(path, "xcoms", body, page)
        if pages is None:
            return None
        for row in (row for page_rows in pages for row in page_rows):
            if row["key"] == TAGS_KEY:
                rows.tags[row["run_id"]] = tags_of(row, row["value"])
            else:
                place = (row["task_id"], row["map_index"])
                rows.records.setdefault(row["run_id"], {})[place] = record_of(row, row["value"])
        return rows

    def _tags_of_one(self, flow: str, run: str) -> TagsRow | None:
        entries = self._entries(flow, run, TAGS_KEY)
        return next((tags_of(row, value) for row, value in entries), None)

    def _entries(self, flow: str, run: str, key: str) -> Iterable[tuple[Mapping[str, Any], Any]]:
        """The XComs of a run under a key, with their values, through the public API."""
        base = _instances(flow, run)
        query = {"xcom_key": key}
        entries = self._api.get_pages(f"{base}/~/xcomEntries", "xcom_entries", query, GET_PAGE)

        def read(entry: Mapping[str, Any]) -> Any:
            path = f"{base}/{_quoted(entry['task_id'])}/xcomEntries/{key}"
            return self._api.get(path, {"map_index": entry["map_index"]})

        def found() -> Iterator[tuple[Mapping[str, Any], Any]]:
            with ThreadPoolExecutor(_PARALLEL) as pool:
                for entry, value in zip(entries, pool.map(read, entries), strict=True):
                    if value:  # else it has been cleared since
                        yield entry, value["value"]

        return found() if entries else ()


def _instances(flow: str, run: str) -> str:
    return f"/api/v2/dags/{_quoted(flow)}/dagRuns/{_quoted(run)}/taskInstances"


def _quoted(name: str) -> str:
    return quote(name, safe="~")
