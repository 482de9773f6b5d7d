"""The flow whose runs the tests of the client and of the command line read."""

from __future__ import annotations

import sys

from flowsdk import FlowSpec, Parameter, current, retry, step


class HelloFlow(FlowSpec):
    """Says hello to everybody.

    It does so in splits.
    """

    alpha = Parameter("alpha", default=0.5, help="below zero, the end fails")

    @step
    def start(self):
        """Whom to greet."""
        self.names = ["ann", "bob", "cleo"]
        self.long = "x" * 5000
        self._private = 1
        print("starting with", self.alpha)
        print("a warning", file=sys.stderr)
        self.next(self.greet, foreach="names")

    @retry(times=1, minutes_between_retries=0)
    @step
    def greet(self):
        print("greeting", self.input)
        if self.input == "bob" and current.retry_count == 0:
            raise ValueError("bob does not hear")
        self.greeting = f"hello {self.input}"
        self.next(self.join)

    @step
    def join(self, inputs):
        self.greetings = [branch.greeting for branch in inputs]
        self.next(self.end)

    @step
    def end(self):
        if self.alpha < 0:
            raise RuntimeError("alpha is negative")


if __name__ == "__main__":
    HelloFlow()
