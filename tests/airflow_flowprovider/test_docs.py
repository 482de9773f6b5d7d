from __future__ import annotations

from airflow_flowprovider.docs import documentation
from flowsdk import FlowSpec, Parameter, retry, step
from flowsdk.flow import graph_of


class DocumentedFlow(FlowSpec):
    """What it is for."""

    size = Parameter("size", default=3, help="How many.\nMore than one.")
    title = Parameter("title", required=True)
    day = Parameter("day", default=lambda context: "today", type=str, help="Of the data.")

    @step
    def start(self):
        self.xs = [1]
        self.next(self.each, foreach="xs")

    @retry
    @step
    def each(self):
        self.way = "a"
        self.next({"a": self.one, "b": self.two}, condition="way")

    @step
    def one(self):
        self.next(self.meet)

    @step
    def two(self):
        self.next(self.meet)

    @step
    def meet(self):
        self.next(self.join)

    @step
    def join(self, inputs):
        self.next(self.left, self.right)

    @step
    def left(self):
        self.next(self.end)

    @step
    def right(self):
        self.next(self.end)

    @step
    def end(self, inputs):
        pass


def test_the_documentation_has_the_graph_and_the_parameters() -> None:
    assert documentation(DocumentedFlow, graph_of(DocumentedFlow)) == (
        "What it is for.\n\n"
        "**Steps**\n\n"
        "- `start` → `each` for each of `xs`\n"
        "- `each` `@retry` → by `way`, `'a'`: `one`, `'b'`: `two`\n"
        "- `one` → `meet`\n"
        "- `two` → `meet`\n"
        "- `meet` → `join`\n"
        "- `join`, joins what `start` splits → `left`, `right`\n"
        "- `left` → `end`\n"
        "- `right` → `end`\n"
        "- `end`, joins what `join` splits\n\n"
        "**Parameters**\n\n"
        "- `size`, `3` by default: How many.\n"
        "- `title`, required\n"
        "- `day`, worked out when a run starts: Of the data."
    )
