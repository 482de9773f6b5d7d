"""Flows with what operators meet: a foreach with a split inside, parameters, retries; a loop; a gang."""

from __future__ import annotations

from flowsdk import FlowSpec, Parameter, parallel, resources, retry, step


class SampleFlow(FlowSpec):
    size = Parameter("size", default=2)

    @step
    def start(self):
        self.names = ["one", "two"][: self.size]
        self.next(self.body, foreach="names")

    @retry(times=1)
    @step
    def body(self):
        self.next(self.left, self.right)

    @step
    def left(self):
        self.next(self.both)

    @step
    def right(self):
        self.next(self.both)

    @step
    def both(self, inputs):
        self.next(self.join)

    @resources(cpu=2, memory=2048)
    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


class LoopFlow(FlowSpec):
    @step
    def start(self):
        self.again = False
        self.next({True: self.start, False: self.end}, condition="again")

    @step
    def end(self): ...


class GangFlow(FlowSpec):
    @step
    def start(self):
        self.next(self.train, num_parallel=3)

    @retry(times=1)
    @parallel
    @step
    def train(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self): ...
