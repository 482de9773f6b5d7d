"""Fifty trivial splits: what a task costs."""

from SDK import FlowSpec, step


class WideFlow(FlowSpec):
    @step
    def start(self):
        self.xs = list(range(50))
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
        assert self.total == 2450


if __name__ == "__main__":
    WideFlow()
