"""``VegaChart``: a Vega-Lite or Vega chart that is drawn by the card itself."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from flowsdk.cards.base import UserComponent
from flowsdk.cards.markup import embedded_json, failure, plain, type_name
from flowsdk.exception import PackageError

#: How a chart in a page is known; escaped text cannot hold it.
MARK = '<div class="chart" data-chart'
_ASSETS = Path(__file__).parent / "assets"
#: In the order in which they need each other.
_SCRIPTS = ("vega.min.js", "vega-lite.min.js", "vega-embed.min.js")
#: What makes a chart one of several views; these have no width of their own to fit.
_COMPOSED = ("concat", "hconcat", "vconcat", "facet", "repeat", "spec")
_FACETS = ("row", "column", "facet")


class VegaChart(UserComponent):
    """A chart by its Vega-Lite or Vega specification, drawn without a network.

    The data must be in the specification. A chart that gives no width takes that of the card.

    Args:
        spec: The specification, or an Altair chart.
        show_controls: Show the menu with which the chart can be saved.
    """

    REALTIME_UPDATABLE = True

    def __init__(self, spec: Any, show_controls: bool = False) -> None:
        self._show_controls = show_controls
        self._problem = ""
        self._spec: dict[str, Any] = {}
        self.update(spec)

    @classmethod
    def from_altair_chart(cls, altair_chart: Any) -> VegaChart:
        """The chart that Altair has made."""
        return cls(altair_chart)

    def update(self, spec: Any = None) -> None:
        """Draw another specification or Altair chart."""
        if spec is None:
            return
        if callable(getattr(spec, "to_dict", None)):
            spec = spec.to_dict()
        if isinstance(spec, str):
            try:
                spec = json.loads(spec)
            except ValueError as error:
                self._problem = f"The specification is not JSON: {error}."
                return
        if not isinstance(spec, Mapping):
            self._problem = f"Found {type_name(spec)}, expected a specification (a dictionary)."
            return
        self._spec, self._problem = plain(spec), ""

    def render(self) -> str:
        """The component as HTML."""
        if self._problem:
            return failure("VegaChart cannot be drawn", self._problem)
        spec = dict(self._spec)
        if "width" not in spec and _is_single_view(spec):
            spec["width"] = "container"
        controls = " data-controls" if self._show_controls else ""
        title = spec.get("title")
        name = title.get("text") if isinstance(title, dict) else title
        label = embedded_label(name or spec.get("description") or "Chart")
        return (
            f'{MARK}{controls} role="img" aria-label="{label}">'
            f'<script type="application/json">{embedded_json(spec)}</script>'
            f'<div class="chart-view"></div></div>'
        )


def embedded_label(name: Any) -> str:
    """A chart's title, which may have several lines, for an attribute."""
    from flowsdk.cards.markup import escape

    return escape(" ".join(map(str, name)) if isinstance(name, list) else name)


def _is_single_view(spec: Mapping[str, Any]) -> bool:
    if "marks" in spec or "vega/v" in str(spec.get("$schema", "")):
        return False  # Vega itself, whose width is a number
    encoding = spec.get("encoding")
    faceted = isinstance(encoding, dict) and any(name in encoding for name in _FACETS)
    return not faceted and not any(name in spec for name in _COMPOSED)


@lru_cache(maxsize=1)
def drawing_scripts() -> tuple[str, ...]:
    """The JavaScript that draws charts, about 830 KB.

    Raises:
        PackageError: It is not installed, or was left out of the code package.
    """
    try:
        return tuple((_ASSETS / name).read_text("utf-8") for name in _SCRIPTS)
    except OSError as error:
        raise PackageError(
            "The scripts that draw charts are not here: a code package holds them only if the flow "
            "file, or a local module that it imports, names VegaChart. Import it there."
        ) from error
