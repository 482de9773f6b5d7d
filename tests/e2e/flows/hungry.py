"""Steps that take more memory than they ask for."""

from flowsdk import FlowSpec, batch, catch, current, resources, retry, step


def eat(mebibytes):
    return len(b"\1" * (mebibytes * 2**20))


class HungryFlow(FlowSpec):
    @resources(memory=512)
    @step
    def start(self):
        self.sizes = [1, 500, 1]
        self.next(self.grows, foreach="sizes")

    @retry(times=2, minutes_between_retries=0, on_oom=4)
    @batch(memory=256, array=True)
    @step
    def grows(self):
        self.eaten = eat(self.input)
        self.tries = current.retry_count
        self.next(self.join)

    @resources(memory=512)
    @step
    def join(self, inputs):
        self.tries = [task.tries for task in inputs]
        self.kept = "before"
        self.next(self.dies)

    @catch(var="problem")
    @resources(memory=256)
    @step
    def dies(self):
        print("eats")
        self.lost = eat(500)
        self.next(self.end)

    @resources(memory=512)
    @step
    def end(self):
        self.told = (self.problem.type, self.kept, hasattr(self, "lost"))


if __name__ == "__main__":
    HungryFlow()
