"""Every command and option that Metaflow's users know is understood: a row each of its command line."""

from __future__ import annotations

import pytest

from flowsdk import Config, FlowSpec, Parameter, project, step
from flowsdk.cli.flow import command_line
from tests.flowsdk.cli.conftest import Cli


@project(name="catalogue")
class CatalogueFlow(FlowSpec):
    """A flow with a parameter, a Config and a project."""

    settings = Config("settings", default_value={"size": 1})
    alpha = Parameter("alpha", default=0.5)

    @step
    def start(self):
        self.next(self.end)

    @step
    def end(self):
        pass


def options(*path: str) -> set[str]:
    """The options of a command, or of one of its actions."""
    line = command_line(CatalogueFlow)
    parser = line.parser
    for name in path:
        parser = line.parser_of(name) if parser is line.parser else parser.subparsers[name]
    return set(parser._option_string_actions)


ROWS = {
    (): "--quiet --metadata --environment --datastore --datastore-root --package-suffixes --with "
    "--pylint --no-pylint --event-logger --monitor --config --config-value --branch --production",
    ("check",): "--warnings",
    ("run",): "--alpha --tag --max-workers --max-num-splits --max-log-size --with --run-id-file "
    "--runner-attribute-file --namespace",
    ("resume",): "--origin-run-id --tag --max-workers --max-num-splits --max-log-size --with "
    "--run-id-file --runner-attribute-file --namespace",
    ("spin",): "--skip-decorators --artifacts-module --persist",
    ("show",): "",
    ("output-raw",): "--json",
    ("output-dot",): "",
    ("version",): "",
    ("help",): "",
    ("dump",): "--private --max-value-size --include --file",
    ("logs",): "--stdout --stderr --both --timestamps --attempt --all --include-not-done",
    ("tag", "add"): "--run-id",
    ("tag", "remove"): "--run-id",
    ("tag", "replace"): "--run-id --add --remove",
    ("tag", "list"): "--run-id --all --my-runs --hide-system-tags --group-by-tag --group-by-run",
    ("card", "view"): "--id --type --hash --follow-resumed",
    ("card", "get"): "--id --type --hash --follow-resumed",
    ("card", "list"): "--id --type --hash --follow-resumed",
    ("card", "server"): "--run-id --port --poll-interval",
    ("card", "create"): "",
    ("package", "info"): "",
    ("package", "list"): "--archive --no-archive",
    ("package", "save"): "",
    ("batch", "list"): "--my-runs --user --run-id",
    ("batch", "kill"): "--my-runs --user --run-id",
    ("airflow", "create"): "--name",
    ("airflow", "trigger"): "--alpha --run-id",
    ("airflow", "delete"): "",
    ("airflow", "list-runs"): "--running --succeeded --failed",
    ("airflow", "terminate"): "",
    ("airflow", "backfill"): "",
    ("airflow", "status"): "",
}


@pytest.mark.parametrize(
    ("path", "expected"), ROWS.items(), ids=[" ".join(path) or "top level" for path in ROWS]
)
def test_a_row_of_the_command_line(path: tuple[str, ...], expected: str) -> None:
    assert set(expected.split()) - options(*path) == set()


def test_every_command_is_listed_with_what_it_does(cli: Cli) -> None:
    listed = cli("--help", flow=CatalogueFlow).out
    for name in command_line(CatalogueFlow).commands:
        assert f"    {name} " in listed or f"    {name}\n" in listed


@pytest.mark.parametrize(
    "words",
    [
        ["--environment", "local", "--no-pylint", "--package-suffixes", ".py,.csv"],
        ["--pylint", "--event-logger", "nullSidecarLogger", "--monitor", "nullSidecarMonitor"],
        ["--metadata", "local", "--datastore", "local"],
    ],
)
def test_options_without_a_meaning_here_do_no_harm(cli: Cli, words: list[str]) -> None:
    outcome = cli(*words, "check", "--no-warnings", flow=CatalogueFlow)
    assert outcome.code == 0
    assert "The graph looks good!" in outcome.err


def test_what_cannot_be_had_is_refused(cli: Cli) -> None:
    assert cli("--environment", "conda", "check", flow=CatalogueFlow).code == 2
    refused = cli("--metadata", "service", "dump", "1/start", flow=CatalogueFlow)
    assert refused.code == 2
    assert "expected local@/folder, s3://bucket/prefix or airflow@" in refused.err
