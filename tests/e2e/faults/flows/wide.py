"""A foreach whose tasks all wait for a file in a folder, and leave one each time they run."""

import time
import uuid
from pathlib import Path

from flowsdk import FlowSpec, Parameter, resources, step


class WideFlow(FlowSpec):
    folder = Parameter("folder", required=True)
    width = Parameter("width", default=50)

    @resources(memory=512)
    @step
    def start(self):
        self.members = list(range(self.width))
        self.next(self.body, foreach="members")

    @resources(memory=256)
    @step
    def body(self):
        folder = Path(self.folder)
        (folder / f"body-{self.input}.{uuid.uuid4().hex}").touch()
        while not (folder / "go").exists() and not (folder / f"go-{self.input}").exists():
            time.sleep(0.3)
        self.own = self.input
        self.next(self.join)

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
    WideFlow()
