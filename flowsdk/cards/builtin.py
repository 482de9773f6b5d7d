"""The card types that always exist: ``default``, ``blank`` and ``error``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from flowsdk.cards.base import BuiltinCard, UserComponent, rendered
from flowsdk.cards.dag import dag_svg
from flowsdk.cards.facts import Source, TaskFacts
from flowsdk.cards.highlight import python_html
from flowsdk.cards.image import Image, is_picture
from flowsdk.cards.markup import escape, failure
from flowsdk.cards.page import page, section
from flowsdk.cards.table import Table, is_frame
from flowsdk.spec import ArtifactRef

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


class BlankCard(BuiltinCard):
    """The components and nothing else. ``options={"title": …}`` puts a title above them."""

    type = "blank"
    ALLOW_USER_COMPONENTS = True
    RUNTIME_UPDATABLE = True

    def render(self, task: Any) -> str:
        """The card."""
        title = self.options.get("title")
        heading = f"<h1>{escape(title)}</h1>" if title else ""
        where = self.facts.pathspec if self.facts else task.pathspec
        return page(str(title or where), heading + _components(self.components))

    def render_runtime(self, task: Any, data: Mapping[str, Any]) -> str:  # noqa: ARG002
        """The card so far."""
        return self.render(task)


class DefaultCard(BuiltinCard):
    """The components, then everything about the task: times, parameters, artifacts, graph, code.

    ``options={"title": …}`` sets the title of the page.
    """

    type = "default"
    ALLOW_USER_COMPONENTS = True
    RUNTIME_UPDATABLE = True

    def render(self, task: Any) -> str:  # noqa: ARG002  # the facts say all of it
        """The card."""
        facts = self.facts
        assert facts is not None, "set by whoever renders the card"
        parts = [_header(facts, self.options.get("title")), _errors(facts)]
        parts.append(_components(self.components))
        if facts.parameters:
            rows = "".join(map(_parameter, facts.parameters.items()))
            parts.append(section("Parameters", f'<dl class="pairs">{rows}</dl>'))
        if facts.status != "running":
            parts.append(_artifacts(facts))
            parts += _illustrations(self.values, facts)
        if facts.graph is not None:
            parts.append(section("Flow", dag_svg(facts.graph, facts.step), facts.graph.name))
        if facts.source is not None:
            parts.append(_code(facts.source, facts.step))
        return page(f"{facts.step} · {facts.flow}", "\n".join(filter(None, parts)))

    def render_runtime(self, task: Any, data: Mapping[str, Any]) -> str:  # noqa: ARG002
        """The card so far."""
        return self.render(task)


class ErrorCard(BuiltinCard):
    """What is stored in place of a card that could not be made. ``options={"error": …}`` says why."""

    type = "error"

    def render(self, task: Any) -> str:
        """The card."""
        where = self.facts.pathspec if self.facts else task.pathspec
        header = _header(self.facts, None) if self.facts else f"<h1>{escape(where)}</h1>"
        why = failure("This card could not be made", str(self.options.get("error", "")))
        return page(f"Card error · {where}", f"{header}\n<section>{why}</section>")


def _components(components: list[str]) -> str:
    if not components:
        return ""
    parts = "".join(f'<div class="component">{html}</div>' for html in components)
    return f'<section class="components">{parts}</section>'


def _header(facts: TaskFacts, title: Any) -> str:
    path = " <span>/</span> ".join(map(escape, (facts.flow, facts.run, facts.step, facts.task)))
    rows = [
        ("Started", _moment(facts.started_at)),
        ("Duration", duration(facts.seconds) if facts.seconds is not None else "running"),
        ("Attempt", str(facts.attempt + 1)),
        ("Split", ", ".join(facts.splits)),
        ("User", facts.user),
        ("Tags", ", ".join(facts.tags)),
        ("Host", facts.host),
        ("Versions", ", ".join(f"{name} {text}" for name, text in facts.versions.items())),
    ]
    chips = "".join(
        f"<div><dt>{name}</dt><dd>{escape(value)}</dd></div>" for name, value in rows if value
    )
    return (
        f'<header><p class="path">{path}</p>'
        f'<h1>{escape(title or facts.step)} <span class="status {facts.status}">{facts.status}'
        f'</span></h1><dl class="facts">{chips}</dl></header>'
    )


def _errors(facts: TaskFacts) -> str:
    if facts.error:
        return failure(f"Failed: {facts.error.type}", facts.error.traceback or facts.error.message)
    if facts.caught:
        return failure(
            f"Caught: {facts.caught.type}", facts.caught.traceback or facts.caught.message
        )
    return ""


def _parameter(item: tuple[str, str]) -> str:
    name, value = item
    return f"<div><dt><code>{escape(name)}</code></dt><dd><code>{escape(value)}</code></dd></div>"


def _artifacts(facts: TaskFacts) -> str:
    if not facts.artifacts:
        return section("Artifacts", '<p class="note">None.</p>')
    total = sum(ref.size for ref in facts.artifacts.values())
    count = len(facts.artifacts)
    head = "".join(
        f'<th scope="col"{align}>{name}</th>'
        for name, align in (
            ("Name", ""),
            ("Type", ""),
            ("Size", ' class="right"'),
            ("Value", ""),
            ("From", ""),
        )
    )
    rows = "".join(_artifact(name, ref, facts.own) for name, ref in facts.artifacts.items())
    table = (
        f'<div class="scroll" tabindex="0"><table class="artifacts"><thead><tr>{head}</tr></thead>'
        f"<tbody>{rows}</tbody></table></div>"
    )
    return section("Artifacts", table, f"{count}, {size_text(total)}")


def _illustrations(values: Mapping[str, Any], facts: TaskFacts) -> list[str]:
    """The artifacts that are tables and pictures, each as what it is."""
    found = []
    for name in facts.artifacts:
        value = values.get(name)
        part: UserComponent | None = None
        if is_frame(value):
            part = Table.from_dataframe(value)
        elif is_picture(value):
            part = Image(value, label=name)
        if part is not None:
            found.append(section(name, rendered(part), facts.artifacts[name].preview or ""))
    return found


def _artifact(name: str, ref: ArtifactRef, own: str) -> str:
    origin = "this task" if ref.origin == own else ref.origin.rpartition("/")[0]
    kind = "constant" if ref.kind == "constant" else origin
    return (
        f'<tr><th scope="row"><code>{escape(name)}</code></th>'
        f"<td><code>{escape(ref.type.removeprefix('builtins.'))}</code></td>"
        f'<td class="right">{size_text(ref.size)}</td>'
        f'<td class="preview"><code>{escape(ref.preview or "")}</code></td>'
        f'<td class="note">{escape(kind)}</td></tr>'
    )


def _code(source: Source, step: str) -> str:
    place = f"{source.file.rpartition('/')[2]}:{source.line}"
    code = python_html(source.text.rstrip("\n"))
    return section(
        f"Code of {step}", f'<pre class="code" tabindex="0"><code>{code}</code></pre>', place
    )


def size_text(size: float) -> str:
    """A number of bytes, for people: ``1.5 MiB``."""
    for unit in _UNITS:
        if size < 1024 or unit == _UNITS[-1]:
            break
        size /= 1024
    return f"{size:,.0f} {unit}" if unit == "B" or size >= 100 else f"{size:,.1f} {unit}"


def duration(seconds: float) -> str:
    """A time span, for people: ``1 h 02 min``."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min"


def _moment(iso: str) -> str:
    return f"{iso[:10]} {iso[11:19]} UTC"
