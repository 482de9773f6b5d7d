"""The smallest flow that passes something on."""

from flowsdk import FlowSpec, Parameter, resources, step


class HelloFlow(FlowSpec):
    """Greets somebody, in three steps."""

    who = Parameter("who", default="world", help="Who is greeted.")

    @resources(cpu=1, memory=512)
    @step
    def start(self):
        """Find the words."""
        self.words = ["hello", self.who]
        self.next(self.speak)

    @resources(cpu=1, memory=512)
    @step
    def speak(self):
        """Put them together."""
        self.greeting = ", ".join(self.words) + "!"
        print(self.greeting)
        self.next(self.end)

    @resources(cpu=1, memory=512)
    @step
    def end(self):
        """Say how long the greeting was."""
        self.length = len(self.greeting)
        print(f"That was {self.length} characters.")


if __name__ == "__main__":
    HelloFlow()
