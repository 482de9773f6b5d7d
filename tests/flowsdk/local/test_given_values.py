"""What a run is given beside parameters: Configs and files, from its start to its resumption."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowsdk.datastore import FlowDatastore
from flowsdk.spec import RunSpec
from tests.flowsdk.flows import run_flow, write_flow

FLOW = """
import json, os
from flowsdk import Config, IncludeFile, config_expr

class Base(FlowSpec):
    config = Config("cfg", default="cfg.json")
    movies = IncludeFile("movies", default="movies.csv", parser=lambda text: text.split(","))

class Given(Base):
    depth = Parameter("depth", default=Base.config.depth)
    other = Config("other", required=True)

    @environment(vars={"WHO": Base.config.who, "N": config_expr("cfg.depth + other.n")})
    @step
    def start(self):
        assert os.environ["WHO"] == self.config.who
        assert int(os.environ["N"]) == self.config.depth + self.other.n
        self.which = self.config.who
        self.next({self.config.who: self.one, "somebody else": self.two}, condition="which")

    @step
    def one(self):
        self.xs = [1, 2]
        self.next(self.body, foreach="xs")

    @step
    def two(self):
        self.next(self.end)

    @step
    def body(self):
        self.count = len(self.movies)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.counts = [(i.count, i.movies, i.config.who) for i in inputs]
        self.next(self.end)

    @step
    def end(self):
        print(json.dumps([self.depth, self.config, self.movies, self.counts]))
        if os.path.exists("broken"):
            raise ValueError

if __name__ == "__main__":
    Given()
"""


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    (tmp_path / "cfg.json").write_text('{"who": "ada", "depth": 3}')
    (tmp_path / "movies.csv").write_text("a,b,c")
    return write_flow(tmp_path, FLOW)


def runs(flow: Path) -> list[RunSpec]:
    store = FlowDatastore.at(str(flow.parent / ".flowsdk"), "Given")
    return [store.read_run(run) for run in store.runs()]


def test_from_the_command_line_into_every_step_and_into_a_resumed_run(flow: Path) -> None:
    (flow.parent / "broken").touch()
    done = run_flow(flow, "--quiet", "--config-value", "other", '{"n": 4}', "run", "--depth", "5")
    assert done.returncode == 1
    counts = [[3, ["a", "b", "c"], "ada"]] * 2
    seen = json.dumps([5, {"who": "ada", "depth": 3}, ["a", "b", "c"], counts])
    assert seen in done.stdout, done.stderr
    # The files have changed, and the required Config is not given: the resumed run has its own.
    (flow.parent / "broken").unlink()
    (flow.parent / "cfg.json").write_text('{"who": "bob", "depth": 9}')
    (flow.parent / "movies.csv").unlink()
    done = run_flow(flow, "--quiet", "resume")
    assert done.returncode == 0, done.stderr
    assert seen in done.stdout
    first, second = runs(flow)
    assert first.configs == second.configs
    assert first.configs == {"cfg": '{"who": "ada", "depth": 3}', "other": '{"n": 4}'}
    assert first.parameters == second.parameters


def test_a_resumed_run_takes_no_configs(flow: Path) -> None:
    assert run_flow(flow, "--config-value", "other", '{"n": 4}', "run").returncode == 0
    done = run_flow(flow, "--config-value", "other", '{"n": 5}', "resume")
    assert done.returncode == 2
    assert "the Configs of a resumed run are those of the run that it resumes" in done.stderr


def test_usage_errors_come_before_the_run(flow: Path) -> None:
    done = run_flow(flow, "run")
    assert done.returncode == 2
    assert "Config 'other'" in done.stderr
    assert "--config-value other JSON, before the command." in done.stderr
    done = run_flow(flow, "--config-value", "other", '{"n": 4}', "run", "--movies", "no.csv")
    assert done.returncode == 2
    assert "'no.csv': found no such file" in done.stderr
    (flow.parent / "latin.csv").write_bytes(b"\xe4")
    done = run_flow(flow, "--config-value", "other", '{"n": 4}', "run", "--movies", "latin.csv")
    assert done.returncode == 2
    assert "'latin.csv' is no text in utf-8" in done.stderr
    assert not runs(flow)


def test_the_help_shows_what_can_be_given(flow: Path) -> None:
    options = run_flow(flow, "--help").stdout
    assert "--config NAME FILE" in options
    assert "cfg (default: cfg.json)" in options
    assert (
        "--movies FILE"
        in run_flow(flow, "--config-value", "other", '{"n": 4}', "run", "--help").stdout
    )


def test_the_client_shows_content_and_values(flow: Path) -> None:
    path = flow.parent / "id"
    line = ("--config-value", "other", '{"n": 4}', "run", "--run-id-file", str(path))
    assert run_flow(flow, *line).returncode == 0
    script = flow.parent / "read.py"
    script.write_text(
        "from flowsdk import Run, namespace\n"
        "namespace(None)\n"
        f"data = Run('Given/{path.read_text()}').data\n"
        "print(repr(data.movies), data.config.who, data.depth)\n"
    )
    done = run_flow(script)
    assert done.stdout == "'a,b,c' ada 3\n", done.stderr
