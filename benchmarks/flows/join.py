"""A join that reads one small artifact of each of its inputs; INPUTS says of how many."""

import os

from SDK import FlowSpec, step


class JoinFlow(FlowSpec):
    @step
    def start(self):
        self.numbers = list(range(int(os.environ["INPUTS"])))
        self.next(self.one, foreach="numbers")

    @step
    def one(self):
        self.row = {"number": self.input, "note": "x" * 100}
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(one.row["number"] for one in inputs)
        self.next(self.end)

    @step
    def end(self):
        print("total", self.total)


if __name__ == "__main__":
    JoinFlow()
