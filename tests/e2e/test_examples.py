"""The example flows on a real Airflow: what a person does first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from flowsdk.datastore import FlowDatastore
from flowsdk.record import RECORD_LIMIT, TaskRecord
from tests.e2e.support import Airflow, until


@pytest.fixture(scope="module")
def digits(airflow: Airflow) -> str:
    """A successful run of digits; its run id."""
    run = airflow.trigger("DigitsFlow")
    assert airflow.wait("DigitsFlow", run) == "success"
    return run


def test_the_flows_are_there_without_import_errors(airflow: Airflow) -> None:
    expected = {"HelloFlow", "DigitsFlow", "BranchesFlow", "ChattyFlow", "FailingFlow"}
    until("all flows are parsed", lambda: expected <= airflow.dag_ids())
    listed = airflow.cli("dags", "list", "-o", "plain").splitlines()
    assert expected <= {line.split(" ", 1)[0] for line in listed}
    assert "No data found" in airflow.cli("dags", "list-import-errors")


def test_every_step_was_a_batch_job(airflow: Airflow, digits: str) -> None:
    tasks = airflow.tasks("DigitsFlow", digits)
    assert {task["state"] for task in tasks} == {"success"}
    splits = [task for task in tasks if task["task_id"] == "fit"]
    assert len(splits) > 3
    labels = {task["rendered_map_index"] for task in splits}
    assert len(labels) == len(splits)
    assert not labels & {str(n) for n in range(20)}
    records = dict(airflow.sql("select task_id || map_index, value from xcom where run_id=? and key='flow_task'", digits))  # fmt: skip
    assert len(records) == len(tasks)
    jobs = {job["jobId"]: job["status"] for job in airflow.jobs("DigitsFlow")}
    assert {jobs[json.loads(value)["batch_job"]] for value in records.values()} == {"SUCCEEDED"}


def test_xcoms_are_small_and_hold_no_values(airflow: Airflow, digits: str) -> None:
    rows = airflow.sql("select task_id, key, value from xcom where run_id=?", digits)
    assert rows
    for task_id, key, value in rows:
        assert len(value) <= 8192, (task_id, key)
        content = json.loads(value)
        if key == "flow_task":
            assert len(value) <= RECORD_LIMIT
            record = TaskRecord.from_dict(content)
            assert all(
                set(entry) == {"digest", "size", "type"} for entry in record.artifacts.values()
            )
        else:
            assert key == "return_value" or key.startswith(("flow_", "_link_", "batch"))
            assert isinstance(content, (str, dict, list))
        assert "\\u0080\\u0005" not in value, "a pickle"


def test_what_lies_in_the_bucket(airflow: Airflow, digits: str) -> None:
    keys = airflow.keys("DigitsFlow/")
    own = [key for key in keys if digits in key]
    tasks = airflow.tasks("DigitsFlow", digits)
    for name in ("spec.json", "result.json"):
        assert len([key for key in own if key.endswith(name)]) == len(tasks)
    assert [key for key in own if "/log/" in key]
    assert [key for key in keys if key.startswith("DigitsFlow/data/")]
    assert len({key for key in keys if key.startswith("DigitsFlow/code/")}) == 1


def test_the_client_reads_the_results(airflow: Airflow, digits: str) -> None:
    printed = airflow.read_with_client(
        "from flowsdk import Flow\n"
        "run = Flow('DigitsFlow').latest_successful_run\n"
        "print(run.id, run.data.accuracy, type(run.data.model).__name__)\n"
        "print(sorted(step.id for step in run))\n"
        "print(sum(1 for task in run['fit']), run['fit'].task.successful)\n"
    )
    first, steps, fits = printed.splitlines()
    assert first.startswith(digits)
    assert 0.9 < float(first.split()[1]) <= 1
    assert "'choose'" in steps
    assert fits.endswith("True")


def test_three_ways_to_run_give_the_same_artifacts(
    airflow: Airflow, digits: str, tmp_path: Path
) -> None:
    root = str(tmp_path / "root")
    airflow.run_locally("digits.py", root=root)
    airflow.run_locally("digits.py", "--with", "batch", root="s3://flows/laptop")
    s3 = airflow.client("s3")
    stores = {
        "laptop": FlowDatastore.at(root, "DigitsFlow"),
        "laptop on Batch": FlowDatastore.at("s3://flows/laptop", "DigitsFlow", s3),
        "Airflow": FlowDatastore.at("s3://flows/flowsdk", "DigitsFlow", s3),
    }
    found = {}
    for where, store in stores.items():
        run = digits if where == "Airflow" else store.runs()[-1]
        artifacts = {}
        for step, tasks in store.attempts(run).items():
            for task, attempts in tasks.items():
                result = store.read_result(run, attempts[-1])
                assert result.succeeded
                for name, ref in result.artifacts.items():
                    artifacts[f"{step}/{task}/{name}"] = ref.digest
        found[where] = artifacts
    assert len(found["laptop"]) > 20
    assert found["laptop"] == found["laptop on Batch"] == found["Airflow"]


@pytest.mark.parametrize("dag", ["HelloFlow", "BranchesFlow"])
def test_the_other_examples(airflow: Airflow, dag: str) -> None:
    run = airflow.trigger(dag)
    assert airflow.wait(dag, run) == "success"


def test_parameters_come_from_the_run(airflow: Airflow) -> None:
    run = airflow.trigger("DigitsFlow", {"test_share": 0.5})
    assert airflow.wait("DigitsFlow", run) == "success"
    printed = airflow.read_with_client(
        f"from flowsdk import Run\nprint(Run('DigitsFlow/{run}').data.test_share)"
    )
    assert printed.strip() == "0.5"
