"""Flows of every shape, for the client to find its way in."""

from __future__ import annotations

from flowsdk import Flow, FlowSpec, Run, current, get_namespace, parallel, step


class NestedFlow(FlowSpec):
    """A foreach in a foreach, with steps around it."""

    @step
    def start(self):
        self.outer = [10, 20]
        self.next(self.prepare, foreach="outer")

    @step
    def prepare(self):
        self.inner = [self.input, self.input + 1]
        self.next(self.score, foreach="inner")

    @step
    def score(self):
        self.value = self.input
        self.next(self.check)

    @step
    def check(self):
        self.next(self.collect)

    @step
    def collect(self, inputs):
        self.values = [branch.value for branch in inputs]
        self.next(self.join)

    @step
    def join(self, inputs):
        self.values = [value for branch in inputs for value in branch.values]
        self.next(self.end)

    @step
    def end(self):
        pass


class LoopFlow(FlowSpec):
    """Counts to three by itself, then goes one of two ways."""

    @step
    def start(self):
        self.count = 0
        self.next(self.again)

    @step
    def again(self):
        self.count += 1
        self.more = "go" if self.count < 12 else "stop"
        self.next({"go": self.again, "stop": self.choose}, condition="more")

    @step
    def choose(self):
        self.way = "left"
        self.next({"left": self.left, "right": self.right}, condition="way")

    @step
    def left(self):
        self.next(self.end)

    @step
    def right(self):
        self.next(self.end)

    @step
    def end(self):
        pass


class EmptyFlow(FlowSpec):
    """A foreach over nothing."""

    @step
    def start(self):
        self.items = []
        self.next(self.body, foreach="items", allow_empty=True)

    @step
    def body(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


class GangFlow(FlowSpec):
    """Three tasks that run together."""

    @step
    def start(self):
        self.next(self.train, num_parallel=3)

    @parallel
    @step
    def train(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


class ReaderFlow(FlowSpec):
    """Reads the results of another flow, and its own."""

    @step
    def start(self):
        run = Flow("HelloFlow").latest_successful_run
        self.greetings = run.data.greetings
        self.namespace_inside = get_namespace()
        self.next(self.end)

    @step
    def end(self):
        run = Run(f"{current.flow_name}/{current.run_id}")
        self.own = (run.status, [step.id for step in run])
