"""Takes longer than a worker waits: a step that succeeds, and an array of which one task fails early."""

import time

from flowsdk import FlowSpec, batch, step


class WatchedFlow(FlowSpec):
    @step
    def start(self):
        time.sleep(8)
        self.numbers = [0, 1, 2]
        self.next(self.plain)

    @step
    def plain(self):
        time.sleep(8)
        print("the last line of plain")
        self.next(self.split)

    @step
    def split(self):
        self.next(self.body, foreach="numbers")

    @batch(array=True)
    @step
    def body(self):
        if self.input == 1:
            print("about to fail")
            raise ValueError("no such number")
        time.sleep(25)
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    WatchedFlow()
