"""The client against a real Airflow, with the provider's plugin in its API server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.support import Airflow

DAG = "HelloFlow"
SCRIPT = """
import json
from flowsdk import Flow

run = Flow('HelloFlow').latest_successful_run
print(json.dumps({
    'status': run.status,
    'steps': [step.id for step in run],
    'artifacts': {
        task.path_components[2]: {artifact.id: [artifact.size, artifact.data] for artifact in task}
        for step in run for task in step
    },
    'printed': run['speak'].task.stdout,
    'parents': [task.path_components[2] for task in run['end'].task.parent_tasks],
    'children': [task.path_components[2] for task in run['start'].task.child_tasks],
    'parameters': dict(run.parameters),
    'tags': sorted(run.user_tags),
    'length': run.data.length,
}))
"""
#: Counts what is sent to Airflow, by whom ever.
COUNTING = """
import flowsdk.client.airflow_api as api
sent, urlopen = [], api.urlopen
def counted(request, **how):
    sent.append(f'{request.method} {request.full_url}')
    return urlopen(request, **how)
api.urlopen = counted
"""


@pytest.fixture(scope="module")
def run(airflow: Airflow) -> str:
    """The newest of two successful runs; its id."""
    runs = [airflow.trigger(DAG, {"who": "Ann"}) for _ in range(2)]
    assert [airflow.wait(DAG, run) for run in runs] == ["success"] * 2
    return runs[-1]


def test_one_script_reads_a_run_of_a_laptop_and_one_of_an_airflow(
    airflow: Airflow, run: str, tmp_path: Path
) -> None:
    under_airflow = json.loads(airflow.read_with_client(SCRIPT))
    root = str(tmp_path / "root")
    airflow.run_locally("hello.py", "--who", "Ann", root=root)
    user = airflow.read_with_client("import getpass; print(getpass.getuser())").strip()
    on_a_laptop = json.loads(
        airflow.read_with_client(SCRIPT, FLOWSDK_METADATA=f"local@{root}", FLOWSDK_USER=user)
    )
    assert under_airflow == on_a_laptop
    assert under_airflow["status"] == "succeeded"
    assert under_airflow["printed"] == "hello, Ann!\n"


def test_runs_are_those_of_whoever_triggered_them(airflow: Airflow, run: str) -> None:
    printed = airflow.read_with_client(
        f"from flowsdk import Flow, Run, namespace\n"
        f"from flowsdk.exception import MetaflowNamespaceMismatch\n"
        f"try:\n"
        f"    Run('{DAG}/{run}')\n"
        f"except MetaflowNamespaceMismatch as error:\n"
        f"    print(error)\n"
        f"namespace(None)\n"
        f"run = Run('{DAG}/{run}')\n"
        f"print(sorted(run.system_tags))\n",
        FLOWSDK_USER="somebody-else",
    )
    error, tags = printed.splitlines()
    assert "not in namespace 'user:somebody-else': found 'user:admin'" in error
    assert "namespace(None)" in error
    assert "'user:admin'" in tags
    assert "'runtime:airflow'" in tags


def test_tags_of_a_finished_run(airflow: Airflow, run: str) -> None:
    def told(script: str) -> Any:
        return json.loads(
            airflow.read_with_client(
                f"import json\nfrom flowsdk import Flow, Run\nrun = Run('{DAG}/{run}')\n"
                f"{script}\nprint(json.dumps(sorted(Run('{DAG}/{run}').user_tags)))"
            )
        )

    assert told("run.add_tags(['good', 'reviewed'])") == ["good", "reviewed"]
    assert told("run.replace_tag('good', 'better')") == ["better", "reviewed"]
    assert told(f"assert [r.id for r in Flow('{DAG}').runs('better')] == ['{run}']") == [
        "better",
        "reviewed",
    ]
    assert told("run.remove_tags(['better', 'reviewed'])") == []


def test_all_runs_with_all_artifacts_take_a_handful_of_requests(airflow: Airflow, run: str) -> None:
    printed = airflow.read_with_client(
        COUNTING + "from flowsdk import Flow\n"
        "tasks = [{a.id: a.size for a in task} for run in Flow('HelloFlow').runs() if run.successful\n"
        "         for step in run for task in step]\n"
        "print(len(tasks), sum(map(len, tasks)))\n"
        "print(*sent, sep='\\n')\n"
    )
    counts, *sent = printed.splitlines()
    tasks, artifacts = map(int, counts.split())
    assert tasks >= 6
    assert artifacts >= 3 * tasks - 3
    assert len(sent) <= 5, sent
