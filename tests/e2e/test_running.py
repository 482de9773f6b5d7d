"""What happens while a step runs, and when it fails."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.support import Airflow, until


def test_log_lines_appear_while_the_step_runs_and_are_complete_afterwards(
    airflow: Airflow,
) -> None:
    dag, run = "ChattyFlow", airflow.trigger("ChattyFlow")

    def lines() -> list[str]:
        if airflow.task(dag, run, "start")["state"] in (None, "scheduled", "queued"):
            return []
        return [line for line in airflow.log(dag, run, "start") if line.startswith("line ")]

    seen = until("some lines are there", lines)
    assert airflow.task(dag, run, "start")["state"] in ("running", "deferred")
    assert "line 29 of 30" not in seen
    until("the task has deferred", lambda: airflow.task(dag, run, "start")["state"] == "deferred")
    count = len(lines())
    until("more lines come while it is deferred", lambda: len(lines()) > count)
    assert airflow.task(dag, run, "start")["state"] == "deferred"
    assert airflow.wait(dag, run) == "success"
    assert lines() == [f"line {number} of 30" for number in range(30)]


def test_a_failing_step(airflow: Airflow, tmp_path: Path) -> None:
    dag = "FailingFlow"
    key = tmp_path.name
    run = airflow.trigger(dag, {"key": key})
    assert airflow.wait(dag, run) == "failed"

    risky = airflow.task(dag, run, "risky")
    assert risky["state"] == "failed"
    assert risky["try_number"] == 3
    assert len(airflow.jobs("FailingFlow_risky")) == 3
    for attempt in (1, 2, 3):
        log = airflow.log(dag, run, "risky", attempt)
        assert f"attempt {attempt - 1}" in log
        text = "\n".join(log)
        assert f"ValueError: not yet: {key}" in text
        assert "in check" in text

    printed = airflow.read_with_client(
        f"from flowsdk import Run\n"
        f"run = Run('{dag}/{run}')\n"
        f"task = run['risky'].task\n"
        f"print(run.status, run.finished, run.successful, task.successful)\n"
        f"print(task.exception.type, '|', task.exception.exception)\n"
        f"print('half_done' in task, list(task))\n"
        f"print(task.exception.stacktrace)\n"
    )
    status, exception, artifacts, *stack = printed.splitlines()
    assert status == "failed True False False"
    assert exception == f"builtins.ValueError | not yet: {key}"
    assert artifacts == "False []"
    frames = [line for line in stack if line.strip().startswith("File ")]
    assert len(frames) == 2
    assert all("failing.py" in frame for frame in frames)

    airflow.client("s3").put_object(Bucket="flows", Key=f"switches/{key}", Body=b"")
    airflow.clear(dag, run, "risky")
    until("it runs again", lambda: airflow.run_state(dag, run) in ("queued", "running"))
    assert airflow.wait(dag, run) == "success"
    assert airflow.task(dag, run, "risky")["try_number"] == 4
    printed = airflow.read_with_client(
        f"from flowsdk import Run\nprint(Run('{dag}/{run}').data.result)"
    )
    assert printed.strip() == "20"


def test_splits_joins_and_foreach_together(airflow: Airflow) -> None:
    dag = "ShapesFlow"
    run = airflow.trigger(dag)
    assert airflow.wait(dag, run) == "success"
    printed = airflow.read_with_client(
        f"from flowsdk import Run\n"
        f"data = Run('{dag}/{run}').data\n"
        f"print(data.totals, data.identity)\n"
    )
    totals = {"a": 1 * 2 + 1 + 10, "b": 2 * 2 + 4 + 10, "c": 3 * 2 + 9 + 10}
    assert printed.strip() == f"{totals} ('other', '0', 'ShapesFlow')"
    labels = [airflow.task(dag, run, "both", index)["rendered_map_index"] for index in range(3)]
    assert labels == ["a, 1", "b, 2", "c, 3"]


def test_all_mistakes_of_a_flow_are_in_its_import_error(airflow: Airflow) -> None:
    (airflow.dags / "broken.py").write_text(
        (Path(__file__).parent / "broken.py.txt").read_text("utf-8"), "utf-8"
    )
    try:
        (error,) = until(
            "the import error is there",
            lambda: airflow.call("GET", "/importErrors")["import_errors"],
        )
    finally:
        (airflow.dags / "broken.py").unlink()
    assert error["filename"].endswith("broken.py")
    text = error["stack_trace"]
    assert "5 problems in the flow" in text
    for line, rule in ((9, "unknown-step"), (12, "missing-next"), (24, "reserved-name"),
                       (28, "missing-inputs"), (32, "unreachable")):  # fmt: skip
        assert f"broken.py:{line}: {rule}: " in text
    until(
        "it goes with the file", lambda: not airflow.call("GET", "/importErrors")["import_errors"]
    )
