from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from flowsdk.client import (
    DataArtifact,
    Flow,
    Metaflow,
    Run,
    Step,
    Task,
    default_namespace,
    get_namespace,
    metadata,
    namespace,
)
from flowsdk.client.namespaces import VARIABLE
from flowsdk.current_task import current
from flowsdk.exception import (
    MetaflowInvalidPathspec,
    MetaflowNamespaceMismatch,
    MetaflowNotFound,
    NamespaceMismatch,
    NotFound,
    UsageError,
)
from tests.flowsdk.client.conftest import AIRFLOW_RUN, USER, Recorded
from tests.flowsdk.client.recorded import record
from tests.flowsdk.examples import SPEC


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, str]:
    """One's own run, and a newer one of somebody else."""
    root = str(tmp_path / "root")
    own = record(root)
    monkeypatch.setenv("FLOWSDK_USER", "bob")
    other = record(root, tags=("shared",))
    monkeypatch.setenv("FLOWSDK_USER", USER)
    metadata(f"local@{root}")
    return own, other


def test_the_default_is_ones_own(monkeypatch: pytest.MonkeyPatch) -> None:
    assert get_namespace() == f"user:{USER}" == default_namespace()
    monkeypatch.delenv("FLOWSDK_USER")
    monkeypatch.setenv("METAFLOW_USER", "cleo")
    assert get_namespace() == "user:cleo"


def test_the_environment_may_say_another_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "project:churn")
    assert get_namespace() == "project:churn"
    monkeypatch.setenv(VARIABLE, "")
    assert get_namespace() is None


def test_namespace_chooses_and_default_namespace_takes_it_back() -> None:
    assert namespace("nightly") == "nightly" == get_namespace()
    assert namespace(None) is None
    assert get_namespace() is None
    assert default_namespace() == f"user:{USER}"


@pytest.mark.parametrize("senseless", ["", 3])
def test_a_namespace_is_a_tag(senseless: object) -> None:
    with pytest.raises(UsageError, match="expected a tag such as 'user:ann', or None"):
        namespace(senseless)  # type: ignore[arg-type]


def test_in_a_step_it_is_that_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "user:somebody")
    current._begin(SPEC, [], str(tmp_path))
    try:
        assert get_namespace() == SPEC.namespace
    finally:
        current._end()


def test_a_flow_shows_the_runs_in_the_namespace(both: tuple[str, str]) -> None:
    own, other = both
    flow = Flow("HelloFlow")
    assert [run.id for run in flow] == [own]
    assert flow.latest_run
    assert flow.latest_run.id == own
    assert own in flow
    assert other not in flow
    namespace("shared")
    assert [run.id for run in Flow("HelloFlow")] == [other]
    assert [run.id for run in flow] == [own], "an object keeps the namespace it was made in"
    namespace(None)
    assert [run.id for run in Flow("HelloFlow")] == [other, own]


def test_tags_choose_among_them(both: tuple[str, str]) -> None:
    own, other = both
    namespace(None)
    flow = Flow("HelloFlow")
    assert [run.id for run in flow.runs("shared")] == [other]
    assert [run.id for run in flow.runs(f"user:{USER}", "runtime:local")] == [own]
    assert list(flow.runs("shared", f"user:{USER}")) == []
    run = flow[other]
    assert list(run.steps("shared")) == list(run)
    assert list(run.steps("nothing")) == []
    assert list(run["greet"].tasks("shared", "user:bob")) == list(run["greet"])
    assert list(run["greet"].tasks("nothing")) == []


@pytest.mark.parametrize("kind", [Run, Step, Task, DataArtifact])
def test_what_is_outside_is_refused_and_the_error_says_what_to_do(
    both: tuple[str, str], kind: type
) -> None:
    path = ["HelloFlow", both[1], "start", "0", "names"]
    pathspec = "/".join(path[: kind._depth])  # type: ignore[attr-defined]
    with pytest.raises(MetaflowNamespaceMismatch) as caught:
        kind(pathspec)
    for part in ("not in namespace 'user:ann'", "namespace(None)", "namespace('user:bob')"):
        assert part in str(caught.value)
    found = kind(pathspec, _namespace_check=False)
    assert found.pathspec == pathspec
    assert not found.is_in_namespace()
    namespace("user:bob")
    assert kind(pathspec).is_in_namespace()
    assert pickle.loads(pickle.dumps(caught.value)).args == caught.value.args


def test_a_flow_without_runs_in_the_namespace_is_refused(both: tuple[str, str]) -> None:
    namespace("user:nobody")
    with pytest.raises(
        NamespaceMismatch, match=r"no run in namespace 'user:nobody'.*namespace\(None\)"
    ):
        Flow("HelloFlow")
    assert Metaflow().flows == []
    assert "HelloFlow" not in Metaflow()
    with pytest.raises(NamespaceMismatch):
        Metaflow()["HelloFlow"]
    flow = Flow("HelloFlow", _namespace_check=False)
    assert len(list(flow)) == 2
    assert not flow.is_in_namespace()
    with pytest.raises(NotFound, match="Did you mean 'HelloFlow'"):
        Flow("HelloFow")


def test_a_child_outside_is_refused_as_well(both: tuple[str, str]) -> None:
    with pytest.raises(NamespaceMismatch):
        Flow("HelloFlow")[both[1]]


def test_an_object_stays_what_it_was_through_a_pickle(both: tuple[str, str]) -> None:
    own, other = both
    flow = Flow("HelloFlow")
    namespace(None)
    everything = Flow("HelloFlow")
    assert [run.id for run in pickle.loads(pickle.dumps(flow))] == [own]
    assert [run.id for run in pickle.loads(pickle.dumps(everything))] == [other, own]


def test_a_run_of_an_airflow_is_in_the_namespace_of_who_triggered_it(
    tmp_path: Path,
) -> None:
    root = str(tmp_path / "root")
    record(root, AIRFLOW_RUN)
    metadata(f"local@{root}")
    assert Run(f"HelloFlow/{AIRFLOW_RUN}").is_in_namespace()


def test_metaflows_names_of_the_errors(runs: Recorded) -> None:
    with pytest.raises(MetaflowNotFound):
        Run("HelloFlow/1")
    with pytest.raises(MetaflowInvalidPathspec):
        Run("HelloFlow")
