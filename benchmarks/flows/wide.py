"""Trivial splits, as many as SPLITS says: what a task costs."""

import os

from SDK import FlowSpec, step


class WideFlow(FlowSpec):
    @step
    def start(self):
        self.xs = list(range(int(os.environ["SPLITS"])))
        self.next(self.body, foreach="xs")

    @step
    def body(self):
        self.y = self.input * 2
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(i.y for i in inputs)
        self.next(self.end)

    @step
    def end(self):
        splits = int(os.environ["SPLITS"])
        assert self.total == splits * (splits - 1)


if __name__ == "__main__":
    WideFlow()
