"""A split, a foreach in one branch with a split in its body, decorators and generators."""

from flowsdk import FlowSpec, batch, current, environment, resources, step, timeout


class ShapesFlow(FlowSpec):
    @resources(memory=512)
    @step
    def start(self):
        self.base = 10
        self.next(self.fan, self.other)

    @resources(memory=512)
    @step
    def fan(self):
        self.letters = {"a": 1, "b": 2, "c": 3}
        self.next(self.each, foreach="letters")

    @resources(memory=512)
    @step
    def each(self):
        self.letter, self.number = self.input
        self.next(self.double, self.square)

    @batch(memory=512)
    @environment(vars={"FACTOR": 2})
    @step
    def double(self):
        import os

        self.doubled = self.number * int(os.environ["FACTOR"])
        self.next(self.both)

    @resources(memory=512)
    @timeout(seconds=90)
    @step
    def square(self):
        self.squared = self.number**2
        self.next(self.both)

    @resources(memory=512)
    @step
    def both(self, inputs):
        self.merge_artifacts(inputs)
        self.total = self.doubled + self.squared + self.base
        self.next(self.gather)

    @resources(memory=512)
    @step
    def gather(self, inputs):
        self.totals = {i.letter: i.total for i in inputs}
        self.next(self.finish)

    @resources(memory=512)
    @step
    def other(self):
        self.identity = (current.step_name, current.task_id, current.flow_name)
        self.next(self.finish)

    @resources(memory=512)
    @step
    def finish(self, inputs):
        self.merge_artifacts(inputs)
        self.next(self.end)

    @resources(memory=512)
    @step
    def end(self):
        print(self.totals, self.identity)


if __name__ == "__main__":
    ShapesFlow()
