from __future__ import annotations

import json
import pickle
from pathlib import Path

from tests.flowsdk.cli.conftest import Cli, Recorded


def test_a_task(cli: Cli, recorded: Recorded) -> None:
    outcome = cli("--datastore-root", recorded.root, "dump", f"{recorded.good}/start/0")
    assert outcome.code == 0
    assert outcome.out.splitlines() == [
        "alpha [size: 37 type: <class 'float'>] = 0.5",
        "long [size: 5034 type: <class 'str'>]",
        "names [size: 51 type: <class 'list'>] = ['ann', 'bob', 'cleo']",
    ]
    assert f"Dumping output of run_id={recorded.good} step=start task_id=0\n" in outcome.err


def test_all_tasks_of_a_step(cli: Cli, recorded: Recorded) -> None:
    arguments = ["dump", f"{recorded.good}/greet", "--include", "greeting"]
    outcome = cli("--datastore-root", recorded.root, *arguments)
    values = [line.rpartition(" = ")[2] for line in outcome.out.splitlines()]
    assert values == ["hello ann", "hello bob", "hello cleo"]


def test_the_flow_may_be_named_and_the_provider_chosen(cli: Cli, recorded: Recorded) -> None:
    path = f"HelloFlow/{recorded.good}/greet/1"
    outcome = cli("--quiet", "--metadata", f"local@{recorded.root}", "dump", path)
    assert (outcome.code, outcome.err) == (0, "")
    assert "greeting [size: " in outcome.out


def test_private_and_large_ones(cli: Cli, recorded: Recorded) -> None:
    options = ["--private", "--max-value-size", "6000"]
    root = recorded.root
    outcome = cli("--datastore-root", root, "dump", f"{recorded.good}/start", *options)
    assert "_private [size: 21 type: <class 'int'>] = 1\n" in outcome.out
    assert "= " + "x" * 5000 in outcome.out


def test_into_a_file(cli: Cli, recorded: Recorded, tmp_path: Path) -> None:
    options = ["--file", "out.pkl", "--include", "greeting,alpha"]
    root = recorded.root
    outcome = cli("--datastore-root", root, "dump", f"{recorded.good}/greet/2", *options)
    assert (outcome.code, outcome.out) == (0, "")
    assert "Artifacts written to out.pkl" in outcome.err
    values = pickle.loads((tmp_path / "out.pkl").read_bytes())
    task = f"HelloFlow/{recorded.good}/greet/2"
    assert values == {task: {"greeting": "hello cleo", "alpha": 0.5}}


def test_as_json(cli: Cli, recorded: Recorded) -> None:
    options = ["--json", "--private"]
    outcome = cli("--datastore-root", recorded.root, "dump", f"{recorded.good}/start", *options)
    found = {fact["name"]: fact for fact in map(json.loads, outcome.out.splitlines())}
    assert found["names"]["value"] == ["ann", "bob", "cleo"]
    assert found["names"]["pathspec"] == f"HelloFlow/{recorded.good}/start/0/names"
    assert found["_private"]["value"] == 1
    assert "value" not in found["long"], "it is larger than --max-value-size"
    assert found["long"]["size"] > 5000


def test_what_cannot_be_dumped(cli: Cli, recorded: Recorded) -> None:
    def err(*arguments: str, code: int) -> str:
        outcome = cli("--datastore-root", recorded.root, "dump", *arguments)
        assert outcome.code == code
        return outcome.err

    good, failed = recorded.good, recorded.failed
    wrong = err(f"{good}/start", "--include", "nmes,alfa", code=1)
    assert "no artifact 'nmes'. Did you mean 'names'" in wrong
    assert "no artifact 'alfa'. Did you mean 'alpha'" in wrong
    assert "end/0 failed: only tasks that succeeded have artifacts" in err(f"{failed}/end", code=1)
    assert "no step 'strat'. Did you mean 'start'" in err(f"{good}/strat", code=1)
    assert "expected RUN/STEP or RUN/STEP/TASK" in err(good, code=2)
    assert "--file no/such/folder" in err(f"{good}/end", "--file", "no/such/folder", code=2)
