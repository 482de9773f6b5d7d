from __future__ import annotations

import re
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowsdk.cards.dag import dag_svg
from flowsdk.graph import FlowGraph
from flowsdk.graph.model import Node
from tests.flowsdk.cards.outline import Outline, assert_harmless


def graph(edges: dict[str, tuple[str, ...]], **more: dict[str, object]) -> FlowGraph:
    parents: dict[str, tuple[str, ...]] = {}
    for name, targets in edges.items():
        for target in targets:
            parents[target] = (*parents.get(target, ()), name)
    nodes = {
        name: Node(
            name,
            "split" if len(targets) > 1 else "linear",
            next=targets,
            parents=parents.get(name, ()),
            **more.get(name, {}),  # type: ignore[arg-type]
        )
        for name, targets in edges.items()
    }
    return FlowGraph("F", "f.py", 1, "", nodes, next(iter(nodes), None), None)


def boxes(outline: Outline) -> dict[str, tuple[float, float, float, float]]:
    """Step → left, top, right, bottom; in the order in which the steps are drawn."""
    rects = [tag for tag in outline.all("rect") if tag.get("class") != "behind"]
    found = {}
    for number, rect in enumerate(rects):
        x, y, width, height = (float(rect[name]) for name in ("x", "y", "width", "height"))
        found[str(number)] = (x, y, x + width, y + height)
    return found


@st.composite
def dags(draw: st.DrawFn) -> FlowGraph:
    count = draw(st.integers(1, 12))
    names = [f"s{number}" for number in range(count)]
    edges = {}
    for number, name in enumerate(names):
        later = names[number + 1 :]
        targets = draw(st.lists(st.sampled_from(later), max_size=3, unique=True)) if later else []
        loops = draw(st.booleans()) and draw(st.booleans())
        edges[name] = (*targets, *([draw(st.sampled_from(names[: number + 1]))] if loops else []))
    return graph(edges)


@given(dags())
def test_any_graph_is_drawn_without_overlaps_and_with_every_edge(flow: FlowGraph) -> None:
    outline = assert_harmless(dag_svg(flow))
    places = list(boxes(outline).values())
    assert len(places) == len(flow)
    for one, other in combinations(places, 2):
        apart = one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
        assert apart, (one, other)
    edges = [tag for tag in outline.all("path") if tag.get("class", "").startswith("edge")]
    assert len(edges) == sum(len(set(node.next)) for node in flow)
    view = [float(number) for number in outline.all("svg")[0]["viewbox"].split()]
    assert all(box[0] >= 0 and box[2] <= view[2] and box[3] <= view[3] for box in places)


def test_time_runs_from_left_to_right() -> None:
    flow = graph({"start": ("a", "b"), "a": ("join",), "b": ("c",), "c": ("join",), "join": ()})
    html = dag_svg(flow)
    left = {
        name: float(x)
        for x, name in re.findall(r'<rect x="([\d.]+)"[^>]*/><text[^>]*>(\w+)</text>', html)
    }
    assert left["start"] < left["a"] < left["join"]
    assert left["b"] < left["c"] < left["join"]


def test_the_step_of_the_card_is_pointed_out() -> None:
    outline = Outline(dag_svg(graph({"start": ("end",), "end": ()}), "end"))
    assert [tag["class"] for tag in outline.all("g")] == ["node", "node current"]


def test_what_steps_do_is_written_in_them() -> None:
    flow = graph(
        {
            "start": ("body",),
            "body": ("close",),
            "close": ("pick",),
            "pick": ("x", "y"),
            "x": (),
            "y": (),
        },
        start={"foreach": "items"},
        body={"foreaches": ("start",)},
        close={"is_join": True},
        pick={"condition": "kind", "cases": {"<big>": "x", 2: "y"}},
    )
    outline = assert_harmless(dag_svg(flow))
    for text in ("foreach items", "join", "switch on kind", "<big>", "2"):
        assert text in outline.text
    assert len([tag for tag in outline.all("rect") if tag.get("class") == "behind"]) == 1


def test_the_drawing_is_described_in_words() -> None:
    html = dag_svg(graph({"start": ("a", "b"), "a": (), "b": ()}))
    assert "start leads to a, b" in Outline(html).text
    assert Outline(html).all("svg")[0]["role"] == "img"


@pytest.mark.parametrize("edges", [{"only": ()}, {"loop": ("loop",)}, {"a": ("b",), "b": ("a",)}])
def test_odd_graphs_are_drawn_too(edges: dict[str, tuple[str, ...]]) -> None:
    assert len(boxes(assert_harmless(dag_svg(graph(edges))))) == len(edges)
