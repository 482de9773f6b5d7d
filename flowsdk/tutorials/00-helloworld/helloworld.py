"""Tutorial 00: three steps in a row."""

from flowsdk import FlowSpec, step


class HelloWorldFlow(FlowSpec):
    """Says hello and goodbye."""

    @step
    def start(self):
        """Every flow has one step to begin with."""
        print("HelloWorldFlow is starting.")
        self.next(self.hello)

    @step
    def hello(self):
        """What is assigned to self is there in all later steps, and in the results."""
        self.greeting = "Hello from a flow!"
        print(self.greeting)
        self.next(self.end)

    @step
    def end(self):
        """Every flow has one step to end with; it has no self.next()."""
        print(f"HelloWorldFlow is all done. It said: {self.greeting}")


if __name__ == "__main__":
    HelloWorldFlow()
