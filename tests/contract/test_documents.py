"""Documents and keys that other versions read: a change here is a change of the format."""

from __future__ import annotations

from pathlib import Path

import pytest

from flowsdk.datastore import keys
from flowsdk.datastore.tags import RunTags
from flowsdk.record import TaskRecord
from flowsdk.spec import TaskRef
from tests.flowsdk.examples import RESULT, RUN, RUN_END, SPEC

GOLDEN = Path(__file__).parent / "golden"
DOCUMENTS = {
    "run": RUN,
    "run_end": RUN_END,
    "run_tags": RunTags(("good", "ä"), ("runtime:airflow", "user:ann")),
    "task_spec": SPEC,
    "task_result": RESULT,
    "task_record": TaskRecord.of(
        RESULT, "s3://flows/flowsdk/DigitsFlow/runs/r/fit/2/1/result.json"
    ),
}


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_documents_are_written_as_before(name: str) -> None:
    assert DOCUMENTS[name].to_json() == (GOLDEN / f"{name}.json").read_bytes().rstrip(b"\n")


@pytest.mark.parametrize("name", sorted(DOCUMENTS))
def test_documents_written_before_are_read(name: str) -> None:
    document = DOCUMENTS[name]
    assert type(document).from_json((GOLDEN / f"{name}.json").read_bytes()) == document


def test_keys_are_where_they_were() -> None:
    run, ref = "manual__2026-11-21T09:00:00+00:00", TaskRef("fit", "3-7", 1)
    task = f"DigitsFlow/runs/{run}/fit/3-7/1/"
    assert keys.blob("DigitsFlow", "abcd") == "DigitsFlow/data/ab/abcd"
    assert keys.code("DigitsFlow", "abcd") == "DigitsFlow/code/abcd"
    assert keys.run_document("DigitsFlow", run) == f"DigitsFlow/runs/{run}/run.json"
    assert keys.run_end("DigitsFlow", run) == f"DigitsFlow/runs/{run}/done.json"
    assert keys.run_alive("DigitsFlow", run) == f"DigitsFlow/runs/{run}/alive.txt"
    assert keys.run_tags("DigitsFlow", run, 12) == f"DigitsFlow/runs/{run}/tags.000012.json"
    assert [keys.tags_edit(name) for name in ("tags.000012.json", "run.json", "tags")] == [12, 0, 0]
    assert keys.spec("DigitsFlow", run, ref) == task + "spec.json"
    assert keys.result("DigitsFlow", run, ref) == task + "result.json"
    assert keys.log_chunk("DigitsFlow", run, ref, 12) == task + "log/000012"
    card = keys.CardName.of("DigitsFlow", run, ref, 0, "my-card", "x")
    card_key = keys.card("DigitsFlow", run, ref, card)
    assert card_key == f"{task}cards/0-my%2Dcard-x-{card.hash}.html"
    assert keys.card_data(card_key) == f"{task}cards/0-my%2Dcard-x-{card.hash}.json"


@pytest.mark.parametrize("name", ["a/b", "..", "a%b", "ü", "manual__2026-11-21T09:00:00+00:00"])
def test_any_run_id_is_one_component(name: str) -> None:
    component = keys.component(name)
    assert "/" not in component
    assert component not in {".", ".."}
    assert keys.name_of(component) == name
