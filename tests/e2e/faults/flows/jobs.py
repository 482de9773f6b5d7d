"""One branch for each thing that can happen to a job."""

import os
import signal
import time
import uuid
from pathlib import Path

from flowsdk import FlowSpec, Parameter, batch, current, resources, retry, step, timeout


def leave_trace(folder: str, name: str) -> None:
    (Path(folder) / f"{name}.{uuid.uuid4().hex}").touch()


class JobsFlow(FlowSpec):
    folder = Parameter("folder", required=True)

    @resources(memory=512)
    @step
    def start(self):
        self.next(
            self.reclaimed,
            self.greedy,
            self.slow,
            self.stuck,
            self.imageless,
            self.closed,
            self.silent,
        )

    @resources(memory=512)
    @retry(times=1, minutes_between_retries=0)
    @step
    def reclaimed(self):
        leave_trace(self.folder, "reclaimed")
        while not (Path(self.folder) / "go-reclaimed").exists():
            time.sleep(0.1)
        self.retries = current.retry_count
        self.next(self.join)

    @resources(memory=256)
    @retry(times=1, minutes_between_retries=0)
    @step
    def greedy(self):
        leave_trace(self.folder, "greedy")
        self.much = b"x" * (400 << 20)
        time.sleep(60)
        self.next(self.join)

    @resources(memory=512)
    @timeout(seconds=3)
    @step
    def slow(self):
        leave_trace(self.folder, "slow")
        time.sleep(60)
        self.next(self.join)

    @resources(memory=512)
    @timeout(seconds=3)
    @step
    def stuck(self):
        """Stops its own process and the one that watches it: only AWS Batch can end that."""
        leave_trace(self.folder, "stuck")
        os.kill(os.getppid(), signal.SIGSTOP)
        os.kill(os.getpid(), signal.SIGSTOP)
        self.next(self.join)

    @batch(image="missing:does-not-exist", memory=512)
    @retry(times=1, minutes_between_retries=0)
    @step
    def imageless(self):
        leave_trace(self.folder, "imageless")
        self.next(self.join)

    @batch(queue="closed", memory=512)
    @retry(times=1, minutes_between_retries=0)
    @step
    def closed(self):
        leave_trace(self.folder, "closed")
        self.retries = current.retry_count
        self.next(self.join)

    @batch(executable="true", memory=512)
    @step
    def silent(self):
        """The container ends with exit code 0, and has not run a line of this."""
        leave_trace(self.folder, "silent")
        self.next(self.join)

    @resources(memory=512)
    @step
    def join(self, inputs):
        leave_trace(self.folder, "join")
        self.next(self.end)

    @resources(memory=512)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    JobsFlow()
