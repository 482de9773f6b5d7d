"""A step that waits, then an array whose members wait, until files in a folder say go.

Each time the code of a task runs, it leaves a file there: so a test can count. Tries follow each other
after seconds, so that four of them outlast an API server that is away for half a minute: without one,
Airflow uses up a try for each worker that cannot start.
"""

import time
import uuid
from pathlib import Path

from flowsdk import FlowSpec, Parameter, batch, current, resources, retry, step


def leave_trace(folder: str, name: str) -> None:
    (Path(folder) / f"{name}.{uuid.uuid4().hex}").touch()


def wait_for(folder: str, name: str) -> None:
    while not (Path(folder) / name).exists():
        time.sleep(0.1)


class FanFlow(FlowSpec):
    folder = Parameter("folder", required=True)
    width = Parameter("width", default=3)

    @resources(memory=512)
    @retry(times=1, minutes_between_retries=0.1)
    @step
    def start(self):
        leave_trace(self.folder, "start")
        print("waiting")
        wait_for(self.folder, "go-start")
        self.members = list(range(self.width))
        self.tries = [current.retry_count]
        self.next(self.body, foreach="members")

    @batch(array=True, memory=512)
    @retry(times=1, minutes_between_retries=0.1)
    @step
    def body(self):
        leave_trace(self.folder, f"body-{self.input}")
        wait_for(self.folder, "go-body")
        self.own = self.input
        self.own_tries = current.retry_count
        self.next(self.join)

    @resources(memory=512)
    @retry(times=1, minutes_between_retries=0.1)
    @step
    def join(self, inputs):
        leave_trace(self.folder, "join")
        self.joined = [task.own for task in inputs]
        self.tries = inputs[0].tries + [task.own_tries for task in inputs]
        self.next(self.end)

    @resources(memory=512)
    @retry(times=1, minutes_between_retries=0.1)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    FanFlow()
