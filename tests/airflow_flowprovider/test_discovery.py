from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from airflow.sdk.definitions._internal.contextmanager import DagContext

from airflow_flowprovider.discovery import might_contain_flow
from tests.airflow_flowprovider.dagfiles import DagFile
from tests.airflow_flowprovider.moved import cron

Write = Callable[..., DagFile]

PLAIN = """
    from flowsdk import FlowSpec, step

    class PlainFlow(FlowSpec):
        @step
        def start(self):
            self.next(self.end)

        @step
        def end(self):
            pass
"""


def test_a_flow_file_is_a_dag_without_a_further_line(dag_file: Write) -> None:
    file = dag_file(PLAIN)
    assert list(file.dags) == ["PlainFlow"]
    assert file.dag.fileloc == str(file.path)


def test_a_file_that_airflow_would_take_is_still_taken(dag_file: Write) -> None:
    file = dag_file("from airflow.sdk import DAG\ndag = DAG('ordinary')\n")
    assert list(file.dags) == ["ordinary"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("from flowsdk import FlowSpec", True),
        ("import flowsdk", False),
        ("class FlowSpec: ...", False),
        ("# an airflow dag", True),
        ("", False),
    ],
)
def test_what_makes_airflow_look_into_a_file(tmp_path: Path, content: str, expected: bool) -> None:
    file = tmp_path / "file.py"
    file.write_text(content)
    archive = tmp_path / "file.zip"
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("file.py", content)
    assert might_contain_flow(str(file)) is expected
    with zipfile.ZipFile(archive) as members:
        assert might_contain_flow("file.py", members) is expected


def test_class_decorators_count(dag_file: Write) -> None:
    file = dag_file(PLAIN.replace("class Plain", "@schedule(hourly=True)\n    class Plain")
                    .replace("FlowSpec, step", "FlowSpec, schedule, step"))  # fmt: skip
    assert cron(file.dag.timetable) in {"0 * * * *", "@hourly"}


def test_a_base_class_is_no_dag(dag_file: Write) -> None:
    file = dag_file(
        PLAIN
        + """
    class DerivedFlow(PlainFlow):
        pass
    """
    )
    assert list(file.dags) == ["DerivedFlow"]


def test_a_base_class_may_be_incomplete(dag_file: Write) -> None:
    file = dag_file(
        """
        from flowsdk import FlowSpec, step

        class Steps(FlowSpec):
            @step
            def middle(self):
                self.next(self.end)

        class Base(Steps):
            @step
            def end(self):
                self.undone = True

        class WholeFlow(Base):
            @step
            def start(self):
                self.next(self.middle)
        """
    )
    assert list(file.dags) == ["WholeFlow"]


def test_a_flow_without_start_and_end_is_none(dag_file: Write) -> None:
    file = dag_file(
        """
        from flowsdk import FlowSpec, step

        class Steps(FlowSpec):
            @step
            def middle(self):
                self.next(self.nowhere)
        """
    )
    assert file.dags == {}


def test_an_imported_flow_belongs_to_its_own_file(
    dag_file: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    dag_file(PLAIN, "flow_of_another_file.py")
    file = dag_file(
        """
        from flowsdk import FlowSpec, step
        from flow_of_another_file import PlainFlow

        class DerivedFlow(PlainFlow):
            pass
        """
    )
    assert list(file.dags) == ["DerivedFlow"]
    del sys.modules["flow_of_another_file"]


def test_a_class_that_a_decorator_makes_anew_is_one_flow(dag_file: Write) -> None:
    file = dag_file(
        """
        from flowsdk import FlowSpec, Parameter, step

        def anew(cls):
            added = {"made_anew": Parameter("made_anew", default=True)}
            return type(cls)(cls.__name__, cls.__bases__, {**vars(cls), **added})

        @anew
        class AnewFlow(FlowSpec):
            @step
            def start(self):
                self.next(self.end)

            @step
            def end(self):
                pass
        """
    )
    assert dict(file.dag.params) == {"made_anew": True}


def test_a_changed_file_gives_the_changed_dag(dag_file: Write) -> None:
    assert dag_file(PLAIN).dag.description is None
    again = dag_file(PLAIN.replace("(FlowSpec):", "(FlowSpec):\n        '''Changed.'''\n"))
    assert again.dag.description == "Changed."


def test_flows_in_an_archive(tmp_path: Path, dag_file: Write) -> None:
    source = dag_file(PLAIN).path.read_text()
    archive = tmp_path / "flows.zip"
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("first_archived_flow.py", source)
        members.writestr(
            "second_archived_flow.py",
            source.replace("PlainFlow", "SecondFlow") + "\nimport first_archived_flow\n",
        )
    assert sorted(DagFile(archive).dags) == ["PlainFlow", "SecondFlow"]


def test_a_flow_of_one_step_may_call_it_anything(dag_file: Write) -> None:
    file = dag_file(
        """
        from flowsdk import FlowSpec, step

        class SingleFlow(FlowSpec):
            @step
            def everything(self):
                pass
        """
    )
    assert list(file.dags) == ["SingleFlow"]


def test_a_flow_with_two_starts_is_ill_formed_and_no_base(dag_file: Write) -> None:
    file = dag_file(
        """
        from flowsdk import FlowSpec, step

        class TwoStarts(FlowSpec):
            @step(start=True)
            def one(self):
                self.next(self.last)

            @step(start=True)
            def two(self):
                self.next(self.last)

            @step
            def last(self):
                pass
        """
    )
    assert "start-step:" in file.import_error


BROKEN = """
    from flowsdk import FlowSpec, Parameter, step

    class BrokenFlow(FlowSpec):
        share = Parameter("share", default=2.0, max=1)

        @step
        def start(self):
            self.next(self.midle)

        @step
        def middle(self):
            self.x = 1

        @step
        def end(self):
            pass
"""


def test_an_ill_formed_flow_is_an_import_error_with_all_problems(dag_file: Write) -> None:
    file = dag_file(BROKEN)
    error = file.import_error
    assert not file.bag.dags
    assert f"{file.path}:8: unknown-step:" in error
    assert "Did you mean 'middle'?" in error
    assert f"{file.path}:11: missing-next:" in error
    assert f"{file.path}:4" in error
    assert "at most 1" in error
    assert "Traceback" not in error


def test_all_ill_formed_flows_of_a_file_are_reported(dag_file: Write) -> None:
    other = BROKEN.partition("class")[2].replace("BrokenFlow", "OtherFlow").replace("midle", "mid")
    file = dag_file(f"{BROKEN}\n    class{other}")
    assert "self.midle" in file.import_error
    assert "self.mid," in file.import_error


def test_an_ill_formed_flow_leaves_the_others_of_its_file(dag_file: Write) -> None:
    file = dag_file(BROKEN + PLAIN)
    assert list(file.bag.dags) == ["PlainFlow"]
    assert "BrokenFlow" in file.import_error or "midle" in file.import_error


def test_other_exceptions_show_as_ever(dag_file: Write) -> None:
    file = dag_file(PLAIN + "\n    raise KeyError('nobody knows')\n")
    assert not file.bag.dags
    assert "KeyError: 'nobody knows'" in file.import_error
    assert "Traceback" in file.import_error


def test_nothing_is_registered_when_nobody_imports_dags(dag_file: Write) -> None:
    source = dag_file(PLAIN).path.read_text()
    exec(compile(source, "nowhere", "exec"), {"__name__": "nowhere"})
    assert not DagContext.autoregistered_dags
