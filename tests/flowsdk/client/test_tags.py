from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from flowsdk.client import Flow, Run, metadata, namespace
from flowsdk.datastore.tags import MAX_TAG_LENGTH, MAX_USER_TAGS, RunTags
from flowsdk.exception import ClientError, MetaflowTaggingError, TagError
from flowsdk.record import TaskRecord
from flowsdk.spec import TaskRef
from tests.flowsdk.client.conftest import USER
from tests.flowsdk.client.fake_airflow import FakeAirflow, dag_run, serve, task_instance
from tests.flowsdk.client.recorded import record, store_at

FLOW = "HelloFlow"
RUN = "manual__2026-11-21T09:01:00+00:00"


@pytest.fixture
def root(tmp_path: Path) -> str:
    return str(tmp_path / "root")


@pytest.fixture
def server(root: str) -> Iterator[FakeAirflow]:
    """An Airflow with a run whose start step has ended, and one that waits."""
    record(root, RUN, tags=("first",))
    store = store_at(root)
    result = store.read_result(RUN, TaskRef("start", "0", 0))
    with serve() as server:
        server.dags = [FLOW]
        server.dag_runs = [dag_run(FLOW, RUN, "success", 1), dag_run(FLOW, "waits", "queued", 2)]
        server.instances = [task_instance(FLOW, RUN, "start", "success")]
        found = TaskRecord.of(result, store.result_uri(RUN, result.ref))
        server.records[RUN, "start", -1] = found.to_dict()
        server.tags[RUN, "start"] = RunTags.of(store.read_run(RUN)).to_dict()
        yield server


@pytest.fixture(params=["folder", "Airflow", "Airflow without the plugin"])
def run(request: pytest.FixtureRequest, root: str) -> Run:
    """A run that has ended, with the tag ``first``, wherever it ran."""
    if request.param == "folder":
        name = record(root, tags=("first",))
        metadata(f"local@{root}")
        return Run(f"{FLOW}/{name}")
    server: FakeAirflow = request.getfixturevalue("server")
    server.plugin = request.param == "Airflow"
    metadata(f"airflow@{server.url}")
    return Run(f"{FLOW}/{RUN}")


def again(run: Run) -> Run:
    return Run(run.pathspec)


def test_tags_are_added_removed_and_replaced(run: Run) -> None:
    run.add_tag("good")
    assert run.user_tags == {"first", "good"} == again(run).user_tags
    run.add_tags(["a", "b"])
    run.remove_tag("first")
    assert again(run).user_tags == {"good", "a", "b"}
    run.replace_tag("good", "better")
    run.replace_tags(["a", "b"], ["c"])
    run.remove_tags(["never there"])
    assert again(run).user_tags == {"better", "c"}
    assert again(run).tags == again(run).user_tags | run.system_tags


def test_there_must_be_a_tag_to_add_or_to_remove(run: Run) -> None:
    for change in (lambda: run.replace_tags([], []), lambda: run.add_tags([])):
        with pytest.raises(TagError, match="found none, expected at least one"):
            change()


def test_metaflows_older_programs_pass_several_to_the_singular(run: Run) -> None:
    run.add_tag(["x", "y"])
    run.remove_tag(("x", "first"))
    run.replace_tag(["y"], ["z"])
    assert run.user_tags == {"z"}


def test_everything_of_a_run_has_its_tags(run: Run) -> None:
    run.add_tag("good")
    step = run["start"]
    assert step.task
    for part in (step, step.task, step.task["names"]):
        assert part.user_tags == {"first", "good"}
        assert part.tags == run.tags
        assert f"user:{USER}" in part.system_tags
    assert run.parent.tags == frozenset()


def test_runs_are_found_by_new_tags(run: Run) -> None:
    run.add_tag("reviewed")
    assert [found.id for found in Flow(FLOW).runs("reviewed")] == [run.id]
    assert list(Flow(FLOW).runs("reviewed", "else")) == []
    namespace("reviewed")
    assert [found.id for found in Flow(FLOW)] == [run.id]


def test_what_is_a_system_tag_stays_one(run: Run) -> None:
    run.add_tag(f"user:{USER}")
    assert again(run).user_tags == {"first"}
    with pytest.raises(TagError, match=f"'user:{USER}': found among the system tags"):
        run.remove_tag(f"user:{USER}")


@pytest.mark.parametrize(
    ("tag", "problem"),
    [
        ("", "found nothing"),
        ("x" * (MAX_TAG_LENGTH + 1), "found 501 characters, expected 1 to 500"),
        ("\ud800", "what UTF-8 cannot hold"),
        (3, "found int"),
    ],
)
def test_malformed_tags_are_refused(tag: object, problem: str) -> None:
    with pytest.raises(MetaflowTaggingError, match=problem):
        RunTags().replaced([], ["fine", tag])  # type: ignore[list-item]


def test_all_malformed_tags_are_named() -> None:
    with pytest.raises(TagError) as caught:
        RunTags().replaced([], ["", 3, "fine"])  # type: ignore[list-item]
    assert len(str(caught.value).splitlines()) == 2


def test_there_is_a_limit_which_holds_for_user_tags(run: Run) -> None:
    run.replace_tags(["first"], [f"tag-{number}" for number in range(MAX_USER_TAGS)])
    with pytest.raises(TagError, match="found 51, expected at most 50. Remove some first"):
        run.add_tag("one more")
    assert len(again(run).user_tags) == MAX_USER_TAGS
    run.replace_tag("tag-0", "other")


def test_edits_at_the_same_time_all_count(root: str) -> None:
    name = record(root)
    metadata(f"local@{root}")
    runs = [Run(f"{FLOW}/{name}") for _ in range(8)]
    together = threading.Barrier(len(runs))

    def edit(number: int) -> None:
        together.wait()
        runs[number].add_tag(f"tag-{number}")

    threads = [threading.Thread(target=edit, args=(number,)) for number in range(len(runs))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Run(f"{FLOW}/{name}").user_tags == {f"tag-{number}" for number in range(len(runs))}
    assert [step.id for step in Run(f"{FLOW}/{name}")] == ["end", "join", "greet", "start"]


def test_in_airflow_tags_lie_at_the_start_step(server: FakeAirflow) -> None:
    metadata(f"airflow@{server.url}")
    Run(f"{FLOW}/{RUN}").add_tag("good")
    assert server.tags[RUN, "start"]["user"] == ["first", "good"]


def test_a_run_from_before_there_were_tags_gets_them(server: FakeAirflow) -> None:
    server.tags.clear()
    metadata(f"airflow@{server.url}")
    run = Run(f"{FLOW}/{RUN}")
    assert run.user_tags == {"first"}, "as its own document says"
    run.add_tag("good")
    assert server.tags[RUN, "start"]["user"] == ["first", "good"]


def test_a_run_that_has_not_begun_has_no_place_for_tags(server: FakeAirflow) -> None:
    metadata(f"airflow@{server.url}")
    namespace(None)
    run = Run(f"{FLOW}/waits")
    assert run.tags == {"user:alice"}, "who triggered it is all that is known"
    with pytest.raises(ClientError, match="Wait until it runs"):
        run.add_tag("good")


def test_who_edits_the_tags_first_does_not_keep_others_from_it(
    server: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = server.tags.pop((RUN, "start"))
    metadata(f"airflow@{server.url}")
    run = Run(f"{FLOW}/{RUN}")
    answer = server.answer

    def somebody_else_first(method: str, path: str, *rest: object) -> tuple[int, object]:
        if method == "POST" and path.endswith("/xcomEntries"):
            server.tags[RUN, "start"] = row
        return answer(method, path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(server, "answer", somebody_else_first)
    run.add_tag("good")
    assert server.tags[RUN, "start"]["user"] == ["first", "good"]


def test_a_start_step_that_is_gone(server: FakeAirflow) -> None:
    metadata(f"airflow@{server.url}")
    run = Run(f"{FLOW}/{RUN}")
    server.instances.clear()
    with pytest.raises(ClientError, match="found no task instance of step 'start'"):
        run.add_tag("good")
