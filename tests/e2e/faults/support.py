"""An Airflow whose parts a test can kill, and runs that count what has been done for them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from airflow_flowprovider.local.standalone import Standalone
from airflow_flowprovider.records import RECORD_KEY
from flowsdk.aws_batch.names import task_prefix
from tests.e2e.faults.proxy import FaultProxy
from tests.e2e.support import Airflow
from tests.e2e.support import until as until_in_time

#: Much is under way at once.
until = partial(until_in_time, seconds=400)


class KillableStandalone(Standalone):
    """A Standalone whose components can be killed and started again."""

    def kill(self, component: str) -> None:
        """SIGKILL for a component and all processes that it has started."""
        process = self._components[component]
        process.kill()
        assert process.wait(30) is not None, f"{component} lives on"

    def restart(self, component: str, **settings: str) -> None:
        """Start a component that was killed, with settings of its own besides those of all."""
        common, self._env = self._env, {**self._env, **settings}
        self._components[component] = self._run(component)
        self._env = common


class FaultyAirflow(Airflow):
    """An Airflow that reaches AWS, and its workers its API server, through proxies.

    Attributes:
        aws: Between everybody and the embedded AWS.
        api: Between workers and the API server.
    """

    standalone: KillableStandalone

    def __init__(
        self, standalone: KillableStandalone, dags: Path, aws: FaultProxy, api: FaultProxy
    ) -> None:
        super().__init__(standalone, dags)
        self.aws = aws
        self.api = api

    def run(self, dag: str, folder: Path, **parameters: Any) -> Run:
        """Trigger a run that finds its switches in ``folder``, and is called as that is."""
        folder.mkdir(parents=True, exist_ok=True)
        until(f"{dag} is parsed", lambda: dag in self.dag_ids())
        self.call("PATCH", f"/dags/{dag}", {"is_paused": False})
        conf = {"folder": str(folder), **parameters}
        body = {"dag_run_id": folder.name, "logical_date": None, "conf": conf}
        self.call("POST", f"/dags/{dag}/dagRuns", body)
        return Run(self, dag, folder.name, folder)

    @contextmanager
    def without(self, component: str) -> Iterator[None]:
        """Kill a component with all its processes, and start it again at the end."""
        self.standalone.kill(component)
        try:
            yield
        finally:
            self._restart(component)

    @contextmanager
    def with_settings(self, component: str, **settings: str) -> Iterator[None]:
        """Have a component run with settings of its own; it is started anew before and after."""
        self.standalone.kill(component)
        self._restart(component, **settings)
        try:
            yield
        finally:
            self.standalone.kill(component)
            self._restart(component)

    def _restart(self, component: str, **settings: str) -> None:
        self.standalone.restart(component, **settings)
        until(f"{component} answers", self._answers)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return bool(self.call("GET", "/monitor/health"))
        return False


class Run:
    """A run of a flow whose tasks wait for files in a folder, and leave one each time they run."""

    def __init__(self, airflow: FaultyAirflow, dag: str, run: str, folder: Path) -> None:
        self.airflow = airflow
        self.dag = dag
        self.id = run
        self.folder = folder

    def release(self, *names: str) -> None:
        for name in names:
            (self.folder / name).touch()

    def traces(self) -> Counter[str]:
        """How often the code of each task has run."""
        return Counter(path.name.partition(".")[0] for path in self.folder.glob("*.*"))

    def wait(self, seconds: float = 600) -> str:
        return self.airflow.wait(self.dag, self.id, seconds)

    def task(self, step: str, index: int = -1) -> dict[str, Any]:
        return self.airflow.task(self.dag, self.id, step, index)

    def until_state(self, step: str, *states: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            task = self.task(step)
            return task if task["state"] in states else None

        what = f"{self.dag}/{self.id}/{step} is {' or '.join(states)}"
        return dict(until(what, found))

    def log(self, step: str, attempt: int = 1) -> str:
        """The log of a task, with the messages of exceptions, as Airflow's UI gets them."""
        path = f"/dags/{self.dag}/dagRuns/{self.id}/taskInstances/{step}/logs/{attempt}"
        return json.dumps(self.airflow.call("GET", f"{path}?full_content=true")["content"])

    def prefix(self, step: str, part: str = "0") -> str:
        """What the names of all jobs of a task instance begin with."""
        return task_prefix(self.dag, self.id, step, part)

    def jobs(self, step: str, part: str = "0") -> list[dict[str, Any]]:
        """All jobs of a task instance, oldest first."""
        found = self.airflow.jobs(self.prefix(step, part))
        return sorted(found, key=lambda job: int(job["createdAt"]))

    def names(self, step: str, part: str = "0") -> list[str]:
        """Of those jobs, generation and attempt."""
        prefix = self.prefix(step, part)
        return [job["jobName"].removeprefix(prefix) for job in self.jobs(step, part)]

    def generations(self, step: str) -> list[str]:
        """The generation of each of those jobs.

        Their attempts are left to Airflow: a try whose worker does not come up in time submits no
        job, and the next one has a higher number.
        """
        return [name.partition("-")[0] for name in self.names(step)]

    def artifacts(self, step: str, *names: str) -> list[Any]:
        """Artifacts of the only task of a step, as the client reads them."""
        script = (
            "import json; from flowsdk import Step, namespace; namespace(None); "
            f"data = Step({self.dag + '/' + self.id + '/' + step!r}).task.data; "
            f"print(json.dumps([getattr(data, name) for name in {names!r}]))"
        )
        return list(json.loads(self.airflow.read_with_client(script)))

    def records(self) -> Counter[str]:
        """How many records each step has in Airflow."""
        query = "select task_id from xcom where dag_id=? and run_id=? and key=?"
        found = self.airflow.sql(query, self.dag, self.id, RECORD_KEY)
        return Counter(row[0] for row in found)

    def results(self, step: str) -> Counter[str]:
        """How many attempts of each task have a result."""
        keys = self.airflow.keys(f"{self.dag}/runs/{self.id}/{step}/")
        return Counter(key.split("/")[-3] for key in keys if key.endswith("/result.json"))

    def went_through(self) -> None:
        """This run of FanFlow has succeeded, and nothing was done for it twice."""
        assert self.wait() == "success"
        assert self.traces() == {"start": 1, "body-0": 1, "body-1": 1, "body-2": 1, "join": 1}
        assert self.artifacts("end", "joined", "tries") == [[0, 1, 2], [0, 0, 0, 0]]
        steps = dict.fromkeys(("start", "body", "join", "end"), 1)
        assert {step: len(self.jobs(step)) for step in steps} == steps
        assert self.records() == steps
        self.nothing_left()

    def nothing_left(self) -> None:
        """No job of the run is active any more."""

        def active() -> list[str]:
            jobs = self.airflow.jobs(f"{self.dag}_")
            ids = [job["jobId"] for job in jobs if job["status"] not in ("SUCCEEDED", "FAILED")]
            described = self.airflow.client("batch").describe_jobs(jobs=ids)["jobs"]
            return [job["jobName"] for job in described if job["tags"]["run"] == self.id]

        until(f"no job of {self.id} is left", lambda: not active())


def kill_worker(task: dict[str, Any]) -> None:
    """SIGKILL for the process that runs a task and for the one that supervises it."""
    pid = int(task["pid"])
    parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    assert "airflow" in Path(f"/proc/{parent}/cmdline").read_text()
    for victim in (parent, pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
