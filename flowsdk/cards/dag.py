"""A flow's graph as inline SVG: layers from left to right, drawn without a library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from flowsdk.cards.markup import escape

if TYPE_CHECKING:
    from flowsdk.graph import FlowGraph
    from flowsdk.graph.model import Node

_HEIGHT = 46
_GAP_X, _GAP_Y = 58, 24
_MARGIN = 14
#: Average width of a character of the label's font, and what surrounds a label.
_CHARACTER, _PADDING = 7.6, 30
_NARROWEST, _WIDEST = 84, 210
_LONGEST_LABEL = 22
_SWEEPS = 6
#: How far a wide drawing shrinks before it scrolls: the labels are to be read still.
_SMALLEST = 0.65
#: Extra room for what is drawn above and below the boxes.
_ARC = 26


@dataclass
class _Place:
    """A step, or a bend of a long edge, in the drawing."""

    name: str
    rank: int
    width: float = 0.0
    x: float = 0.0
    y: float = 0.0
    before: list[_Place] = field(default_factory=list)
    after: list[_Place] = field(default_factory=list)

    @property
    def is_bend(self) -> bool:
        return self.width == 0


def dag_svg(graph: FlowGraph, current: str | None = None) -> str:
    """The drawing of a graph that has steps.

    Args:
        graph: The graph.
        current: Name of the step to point out.
    """
    places, layers, edges, back = _layered(graph)
    for _ in range(_SWEEPS):
        _sort(layers, lambda place: place.before)
        _sort(layers[::-1], lambda place: place.after)
    height = _position(layers)
    width = max(place.x + place.width for place in places.values()) + _MARGIN
    labels = {
        (node.name, target): str(case) for node in graph for case, target in node.cases.items()
    }
    lines = [_edge(chain, labels.get((chain[0].name, chain[-1].name))) for chain in edges]
    lines += [_arc(places[source], places[target], height) for source, target in back]
    boxes = [_box(graph[name], place, name == current) for name, place in places.items()]
    total = height + _ARC * bool(back)
    return (
        f'<div class="scroll dag" tabindex="0"><svg role="img" aria-labelledby="dag-title dag-desc" '
        f'style="min-width:{width * _SMALLEST:.0f}px" width="{width:.0f}" height="{total:.0f}" viewBox="0 0 {width:.0f} {total:.0f}">'
        f'<title id="dag-title">Steps of {escape(graph.name)}</title>'
        f'<desc id="dag-desc">{escape(_described(graph))}</desc>'
        f'<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" '
        f'markerHeight="7" orient="auto"><path d="M0 0.5 8 4 0 7.5z"/></marker></defs>'
        f"{''.join(lines)}{''.join(boxes)}</svg></div>"
    )


def _layered(
    graph: FlowGraph,
) -> tuple[dict[str, _Place], list[list[_Place]], list[list[_Place]], list[tuple[str, str]]]:
    """The steps, the layers with the bends in them, the edges, and the edges that lead back."""
    order = [node.name for node in graph.topological()]
    position = {name: index for index, name in enumerate(order)}
    rank = dict.fromkeys(order, 0)
    forward: list[tuple[str, str]] = []
    back: list[tuple[str, str]] = []
    for name in order:
        for target in dict.fromkeys(graph[name].next):
            if target not in position:
                continue
            if position[target] <= position[name]:
                back.append((name, target))
            else:
                forward.append((name, target))
                rank[target] = max(rank[target], rank[name] + 1)
    places = {name: _Place(name, rank[name], _width(graph[name])) for name in order}
    layers: list[list[_Place]] = [[] for _ in range(max(rank.values()) + 1)]
    for place in places.values():
        layers[place.rank].append(place)
    edges = [_chain(places[source], places[target], layers) for source, target in forward]
    return places, layers, edges, back


def _chain(source: _Place, target: _Place, layers: list[list[_Place]]) -> list[_Place]:
    """An edge as a row of places, with a bend in every layer that it passes."""
    bends = [_Place(source.name, rank) for rank in range(source.rank + 1, target.rank)]
    for bend in bends:
        layers[bend.rank].append(bend)
    chain = [source, *bends, target]
    for left, right in pairwise(chain):
        left.after.append(right)
        right.before.append(left)
    return chain


def _sort(layers: list[list[_Place]], neighbours: Callable[[_Place], list[_Place]]) -> None:
    """Order each layer by where its neighbours in the layer before stand: few edges cross then."""
    for layer in layers:
        for index, place in enumerate(layer):
            place.y = index
    for layer in layers[1:]:
        layer.sort(key=lambda place: _mean([n.y for n in neighbours(place)], place.y))
        for index, place in enumerate(layer):
            place.y = index


def _mean(values: list[float], default: float) -> float:
    return sum(values) / len(values) if values else default


def _position(layers: list[list[_Place]]) -> float:
    """Give every place its coordinates; returns the height of the drawing."""
    tallest = max(len(layer) for layer in layers)
    pitch = _HEIGHT + _GAP_Y
    height = tallest * pitch - _GAP_Y + 2 * _MARGIN
    x = float(_MARGIN)
    for layer in layers:
        column = max(place.width for place in layer)
        top = (height - (len(layer) * pitch - _GAP_Y)) / 2
        for index, place in enumerate(layer):
            place.x = x + (column - place.width) / 2
            place.y = top + index * pitch
        x += column + _GAP_X
    return height


def _width(node: Node) -> float:
    longest = max(len(_label(node.name)), round(len(_note(node)) * 0.85))
    return min(max(longest * _CHARACTER + _PADDING, _NARROWEST), _WIDEST)


def _label(name: str) -> str:
    return name if len(name) <= _LONGEST_LABEL else f"{name[: _LONGEST_LABEL - 1]}…"


def _note(node: Node) -> str:
    """What a step does to the flow, in a word or two."""
    if node.foreach:
        return _label(f"foreach {node.foreach}")
    if node.condition:
        return _label(f"switch on {node.condition}")
    if node.num_parallel:
        return "parallel"
    return "split" if node.kind == "split" else "join" * node.is_join


def _box(node: Node, place: _Place, is_current: bool) -> str:
    classes = "node current" if is_current else "node"
    shape = f'width="{place.width:.0f}" height="{_HEIGHT}" rx="9"'
    behind = ""
    if node.foreaches:  # many tasks: a stack of boxes
        behind = f'<rect class="behind" x="{place.x + 5:.1f}" y="{place.y + 5:.1f}" {shape}/>'
    centre, note = place.x + place.width / 2, _note(node)
    name_y = place.y + (20 if note else 28)
    second = ""
    if note:
        second = f'<text class="kind" x="{centre:.1f}" y="{place.y + 36:.1f}">{escape(note)}</text>'
    tip = f"<title>{escape(node.doc.strip() or node.name)}</title>"
    return (
        f'<g class="{classes}">{tip}{behind}<rect x="{place.x:.1f}" y="{place.y:.1f}" {shape}/>'
        f'<text x="{centre:.1f}" y="{name_y:.1f}">{escape(_label(node.name))}</text>{second}</g>'
    )


def _edge(chain: list[_Place], label: str | None) -> str:
    points = []
    for place in chain:
        middle = place.y + _HEIGHT / 2
        points += [(place.x, middle), (place.x + place.width, middle)]
    path = f"M{points[1][0]:.1f} {points[1][1]:.1f}"
    for (x1, y1), (x2, y2) in zip(points[1:-2:2], points[2:-1:2], strict=True):
        bend = (x2 - x1) / 2
        path += f"C{x1 + bend:.1f} {y1:.1f} {x2 - bend:.1f} {y2:.1f} {x2:.1f} {y2:.1f}"
        path += "H" + f"{x2:.1f}"
    text = ""
    if label is not None:
        # Beside the arrow's head, unless other arrows end there too.
        ends_alone = len(chain[-1].before) == 1
        x, y = points[-2] if ends_alone else points[1]
        x += -12 if ends_alone else 6
        where = "last" if ends_alone else "first"
        text = (
            f'<text class="case {where}" x="{x:.1f}" y="{y - 6:.1f}">{escape(_label(label))}</text>'
        )
    return f'<path class="edge" d="{path}" marker-end="url(#arrow)"/>{text}'


def _arc(source: _Place, target: _Place, height: float) -> str:
    """An edge that leads back, below the boxes."""
    x1, x2 = source.x + source.width * 0.65, target.x + target.width * 0.35
    y1, y2 = source.y + _HEIGHT, target.y + _HEIGHT
    low = max(y1, y2) + _GAP_Y if source is target else height + _ARC - _MARGIN / 2
    return (
        f'<path class="edge back" d="M{x1:.1f} {y1:.1f}C{x1:.1f} {low:.1f} {x2:.1f} {low:.1f} '
        f'{x2:.1f} {y2:.1f}" marker-end="url(#arrow)"/>'
    )


def _described(graph: FlowGraph) -> str:
    """The graph in words, for those who do not see it."""
    parts = [
        f"{node.name} leads to {', '.join(dict.fromkeys(node.next))}" for node in graph if node.next
    ]
    return "; ".join(parts) or "One step."
