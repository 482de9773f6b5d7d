"""What Airflow stores of a flow: a change for an unchanged file makes a new DAG version."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.airflow_flowprovider.dagfiles import DagFile, serialized
from tests.airflow_flowprovider.moved import AIRFLOW

ROOT = Path(__file__).parents[2]
GOLDEN = Path(__file__).parent / "golden" / "digits_dag.json"
#: Files with every shape and decorator that can be a DAG.
FILES = [*sorted((ROOT / "dags").glob("*.py")), ROOT / "tests/e2e/flows/shapes.py"]
PARSE = """
import sys
from pathlib import Path
from airflow_flowprovider import policy
from tests.airflow_flowprovider.dagfiles import DagFile, canonical, serialized
for path in sys.argv[1:]:
    for dag in DagFile(Path(path)).dags.values():
        print(dag.dag_id, canonical(serialized(dag)).decode(), file=sys.stderr)
"""
#: Of a task, what the flow decides; the rest is Airflow's.
TASK_FIELDS = (
    "task_id",
    "doc_md",
    "downstream_task_ids",
    "job",
    "map_index_template",
    "pathspec",
    "retries",
    "retry_delay",
    "trigger_rule",
)
DAG_FIELDS = ("dag_id", "catchup", "description", "doc_md", "params", "tags", "timetable")


def test_parsing_again_gives_the_same_bytes() -> None:
    parses = [
        subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", PARSE, *map(str, FILES)],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    first, second = (
        [line for line in parse.communicate(timeout=120)[1].splitlines() if "Flow {" in line]
        for parse in parses
    )
    assert [parse.returncode for parse in parses] == [0, 0]
    assert [line.split()[0] for line in first] == [
        "BranchesFlow", "DigitsFlow", "HelloFlow", "ShapesFlow",
    ]  # fmt: skip
    assert first == second


@pytest.mark.skipif(AIRFLOW < (3, 3), reason="the golden file is Airflow 3.3's")
def test_a_flow_is_the_dag_that_it_was() -> None:
    found = json.dumps(_essence(serialized(DagFile(ROOT / "dags/digits.py").dag)), indent=2)
    assert json.loads(found) == json.loads(GOLDEN.read_text()), f"now it is\n{found}"


@pytest.mark.parametrize("file", sorted((ROOT / "dags").glob("*.py")), ids=lambda file: file.stem)
def test_the_examples_are_read_with_flowsdk_alone(file: Path) -> None:
    script = (
        "import sys; known = set(sys.modules)\n"
        f"import runpy; runpy.run_path({str(file)!r}, run_name='example')\n"
        "foreign = {name.partition('.')[0] for name in set(sys.modules) - known}\n"
        "print(foreign - sys.stdlib_module_names - {'flowsdk', 'example'})"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", script],
        env=environment, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.strip() == "set()"


def _essence(dag: dict[str, Any]) -> dict[str, Any]:
    """Without what differs between versions of Airflow."""
    tasks = [task["__var"] for task in dag["tasks"]]
    return {
        **{field: dag.get(field) for field in DAG_FIELDS},
        "groups": _groups(dag["task_group"]),
        "tasks": [{field: task.get(field) for field in TASK_FIELDS} for task in tasks],
    }


def _groups(group: dict[str, Any]) -> dict[str, Any]:
    """Names of the members; of mapped groups, also what they are mapped over."""
    found: dict[str, Any] = {}
    for name, (kind, member) in group["children"].items():
        found[name] = kind if kind == "operator" else _groups(member)
    if "expand_input" in group:
        found["mapped over"] = group["expand_input"]
    return found
