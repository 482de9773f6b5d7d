"""An array to each of whose members something else happens, once."""

import os
import signal
import sys
import time
import uuid
from pathlib import Path

from flowsdk import FlowSpec, Parameter, batch, current, resources, retry, step, timeout

FAULTS = ("none", "reclaimed", "greedy", "slow", "error", "killed", "also none")


class MembersFlow(FlowSpec):
    folder = Parameter("folder", required=True)

    @resources(memory=512)
    @step
    def start(self):
        self.faults = FAULTS
        self.next(self.body, foreach="faults")

    @batch(array=True, memory=256)
    @timeout(seconds=20)
    @retry(times=1, minutes_between_retries=0)
    @step
    def body(self):
        folder = Path(self.folder)
        first = not list(folder.glob(f"{self.input}.*"))
        (folder / f"{self.input}.{uuid.uuid4().hex}").touch()
        if first:
            self.suffer(folder)
        self.own = (self.input, current.retry_count)
        self.next(self.join)

    def suffer(self, folder: Path):
        match self.input:
            case "reclaimed":
                time.sleep(60)
            case "greedy":
                much = b"x" * (400 << 20)
                time.sleep(60)
                print(len(much))
            case "slow":
                time.sleep(60)
            case "error":
                raise ValueError("once")
            case "killed":
                # The one that watches it first: nobody is left who could tell.
                os.kill(os.getppid(), signal.SIGKILL)
                sys.exit()

    @resources(memory=512)
    @step
    def join(self, inputs):
        self.joined = [task.own for task in inputs]
        self.next(self.end)

    @resources(memory=512)
    @step
    def end(self):
        pass


if __name__ == "__main__":
    MembersFlow()
