"""Two branches at once, and what they agree on."""

from flowsdk import FlowSpec, Parameter, resources, step


class BranchesFlow(FlowSpec):
    """Looks at the same numbers in two ways at the same time.

    Each branch adds artifacts of its own; the join takes over everything the branches agree on.
    """

    count = Parameter("count", default=100, min=1, help="How many numbers.")

    @resources(cpu=1, memory=512)
    @step
    def start(self):
        """Make the numbers: a fixed sequence that looks random."""
        self.numbers = [(n * 7919) % 1009 for n in range(1, self.count + 1)]
        self.next(self.location, self.spread)

    @resources(cpu=1, memory=512)
    @step
    def location(self):
        """Where the numbers lie."""
        ordered = sorted(self.numbers)
        self.mean = sum(ordered) / len(ordered)
        self.median = ordered[len(ordered) // 2]
        self.next(self.summary)

    @resources(cpu=1, memory=512)
    @step
    def spread(self):
        """How far they reach."""
        self.smallest, self.largest = min(self.numbers), max(self.numbers)
        self.next(self.summary)

    @resources(cpu=1, memory=512)
    @step
    def summary(self, inputs):
        """Put both views together."""
        self.merge_artifacts(inputs)
        self.next(self.end)

    @resources(cpu=1, memory=512)
    @step
    def end(self):
        """Say it."""
        self.report = (
            f"{self.count} numbers from {self.smallest} to {self.largest}, "
            f"mean {self.mean:.1f}, median {self.median}"
        )
        print(self.report)


if __name__ == "__main__":
    BranchesFlow()
