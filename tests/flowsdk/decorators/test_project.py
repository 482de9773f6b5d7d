from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from flowsdk import Config, FlowSpec, config_expr, project
from flowsdk.decorators.project import ProjectSettings, add_project_options, project_of
from flowsdk.exception import DecoratorError, UsageError
from tests.flowsdk.flows import run_flow, write_flow


def flow_in(**attributes: Any) -> type[FlowSpec]:
    return project(**attributes)(type("Flow", (FlowSpec,), {"__module__": __name__}))


@pytest.mark.parametrize(
    ("attributes", "options", "branch"),
    [
        ({}, {}, "user.me"),
        ({}, {"branch": "x"}, "test.x"),
        ({}, {"production": True}, "prod"),
        ({}, {"branch": "x", "production": True}, "prod.x"),
        ({"branch": "y"}, {}, "test.y"),
        ({"production": True}, {}, "prod"),
        ({"branch": "y", "production": True}, {}, "prod.y"),
        ({"production": True}, {"branch": "x"}, "test.x"),
        ({"branch": "y"}, {"production": True}, "prod"),
    ],
)
def test_the_branch(
    monkeypatch: pytest.MonkeyPatch, attributes: Any, options: Any, branch: str
) -> None:
    monkeypatch.setenv("FLOWSDK_USER", "me")
    found = project_of(flow_in(name="demo", **attributes), **options)
    assert found == ProjectSettings("demo", branch)
    assert found.facts("Flow") == {
        "project_name": "demo",
        "branch_name": branch,
        "is_user_branch": branch == "user.me",
        "is_production": branch.startswith("prod"),
        "project_flow_name": f"demo.{branch}.Flow",
    }
    assert ProjectSettings.of_tags(("x:y", *found.tags)) == found


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "found no name, expected @project"),
        ({"name": "Demo"}, "name='Demo', expected lower case letters"),
        ({"name": "a" * 129}, "expected lower case letters, digits and '_', at most 128"),
        ({"name": "a", "branch": "x.y"}, "branch='x.y', expected"),
        ({"name": "a", "production": "yes"}, "expected True or False"),
        ({"nam": "a"}, "Did you mean 'name'"),
    ],
)
def test_names_that_cannot_be(attributes: Any, message: str) -> None:
    with pytest.raises(DecoratorError, match=message):
        project(**attributes)


def test_the_options_need_a_project_and_a_name() -> None:
    with pytest.raises(UsageError, match="flow Plain has no @project"):
        project_of(type("Plain", (FlowSpec,), {"__module__": __name__}), "x")
    with pytest.raises(UsageError, match="--branch: found 'X'"):
        project_of(flow_in(name="demo"), "X")
    assert project_of(type("Plain", (FlowSpec,), {"__module__": __name__})) is None
    assert ProjectSettings.of_tags(("project:x",)) is None


@pytest.mark.parametrize(
    ("variables", "options", "branch"),
    [
        ({"METAFLOW_BRANCH": "x"}, [], "test.x"),
        ({"METAFLOW_BRANCH": "x", "FLOWSDK_BRANCH": "y"}, [], "test.y"),
        ({"METAFLOW_BRANCH": "x"}, ["--branch", "z"], "test.z"),
        ({"METAFLOW_PRODUCTION": "True"}, [], "prod"),
        ({"FLOWSDK_PRODUCTION": "1", "FLOWSDK_BRANCH": "x"}, [], "prod.x"),
        ({"METAFLOW_PRODUCTION": "1", "FLOWSDK_PRODUCTION": "false"}, ["--branch", "z"], "test.z"),
    ],
)
def test_the_branch_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], options: list[str], branch: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    flow, parser = flow_in(name="demo"), argparse.ArgumentParser()
    add_project_options(parser, flow)
    found = parser.parse_args(options)
    assert project_of(flow, found.branch, found.production) == ProjectSettings("demo", branch)


def test_functions_that_give_defaults_know_the_project(tmp_path: Path) -> None:
    path = write_flow(
        tmp_path,
        """
from flowsdk import project

def told(context):
    return f"{current.project_flow_name} {current.is_running_flow} {current.get('run_id')}"

@project(name="demo")
class Told(FlowSpec):
    where = Parameter("where", default=told)

    @step
    def start(self):
        print(self.where)
        self.next(self.end)

    @step
    def end(self):
        pass

if __name__ == "__main__":
    Told()
""",
    )
    done = run_flow(path, "--quiet", "--branch", "exp", "run")
    assert "demo.test.exp.Told False None" in done.stdout, done.stderr


def test_a_name_from_a_config() -> None:
    members = {"__module__": __name__, "config": Config("c", default_value={"name": "from_config"})}
    flow = project(name=config_expr("c.name"))(type("Flow", (FlowSpec,), members))
    found = project_of(flow, production=True)
    assert found
    assert found.flow_name("Flow") == "from_config.prod.Flow"


def test_steps_know_the_project(tmp_path: Path) -> None:
    path = write_flow(
        tmp_path,
        """
        from flowsdk import namespaced_event_name, project

        @project(name="demo")
        class InProject(FlowSpec):
            @step
            def start(self):
                self.next(self.end)

            @step
            def end(self):
                print(current.project_flow_name, current.is_user_branch, current.is_production)
                print(namespaced_event_name("done")())

        if __name__ == "__main__":
            InProject()
        """,
    )
    done = run_flow(path, "--quiet", "--branch", "exp", "run")
    assert "demo.test.exp.InProject False False" in done.stdout, done.stderr
    assert "mfns.demo.test.exp.done" in done.stdout
    done = run_flow(path, "--quiet", "run")
    assert "demo.user.tester.InProject True False" in done.stdout, done.stderr
    documents = [file.read_text() for file in (tmp_path / ".flowsdk").rglob("run.json")]
    assert any('"project:demo","project_branch:test.exp"' in text for text in documents)
