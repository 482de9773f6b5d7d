"""``Image``: a picture inside the card."""

from __future__ import annotations

import base64
import io
import re
from typing import Any, NamedTuple

from flowsdk.cards.base import UserComponent
from flowsdk.cards.markup import escape, failure, type_name

#: How the formats begin that every browser shows.
_SIGNATURES = (
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"\xff\xd8\xff", "jpeg"),
    (b"GIF8", "gif"),
    (b"BM", "bmp"),
)
_SVG = re.compile(
    rb"\s*(?:<\?xml[^>]*\?>\s*)?(?:<!--.*?-->\s*|<!DOCTYPE[^>]*>\s*)*<svg[\s>]", re.DOTALL
)
#: Of figures; more than a CSS inch has, so that they are sharp on dense screens too.
_FIGURE_DPI = 144
_DATA_URI = re.compile(r"data:image/[a-z+.-]+;base64,[A-Za-z0-9+/=\s]+")


class Image(UserComponent):
    """A picture, embedded in the card.

    Args:
        src: The bytes of a PNG, JPEG, GIF, WebP, BMP or SVG file, a ``data:`` URI, a Pillow image, a
            matplotlib figure or axes, or anything else that has a ``savefig`` or ``save``. A figure
            is drawn at once, so it may be closed afterwards.
        label: Caption, and what a screen reader reads.
        disable_updates: Make :meth:`update` do nothing.
    """

    REALTIME_UPDATABLE = True

    def __init__(
        self, src: Any = None, label: str | None = None, disable_updates: bool = False
    ) -> None:
        self._fixed = disable_updates
        self._label = label
        self._picture = _picture_of(src)

    @classmethod
    def from_matplotlib(
        cls, plot: Any, label: str | None = None, disable_updates: bool = False
    ) -> Image:
        """The picture of a matplotlib figure or axes."""
        return cls(plot, label, disable_updates)

    @classmethod
    def from_pil_image(
        cls, pilimage: Any, label: str | None = None, disable_updates: bool = False
    ) -> Image:
        """A Pillow image."""
        return cls(pilimage, label, disable_updates)

    def update(self, image: Any, label: str | None = None) -> None:
        """Show another picture; the label stays unless another is given."""
        if self._fixed:
            return
        self._picture = _picture_of(image)
        if label is not None:
            self._label = label

    def render(self) -> str:
        """The component as HTML."""
        picture = self._picture
        if picture.problem:
            return failure("Image cannot be shown", picture.problem)
        label = "" if self._label is None else str(self._label)
        caption = f"<figcaption>{escape(label)}</figcaption>" if label else ""
        alt = escape(label or "Image without a description")
        width = f' width="{picture.width}"' if picture.width else ""
        return f'<figure class="image"><img src="{picture.source}" alt="{alt}"{width}>{caption}</figure>'


class _Picture(NamedTuple):
    """A picture as a ``data:`` URI, its width in CSS pixels if not its own, or why there is none."""

    source: str = ""
    width: int | None = None
    problem: str = ""


def _picture_of(image: Any) -> _Picture:
    data: bytes | None
    try:
        if isinstance(image, str):
            if _DATA_URI.fullmatch(image):
                return _Picture("".join(image.split()))
            return _Picture(
                problem=f"Found the text {image[:80]!r}, expected a data: URI. A card loads nothing "
                f"from elsewhere: pass the picture's bytes."
            )
        if isinstance(image, (bytes, bytearray, memoryview)):
            data = bytes(image)
        else:
            data = _drawn(image)
    except Exception as error:  # noqa: BLE001  # a drawing library may raise anything
        return _Picture(problem=f"{type(error).__name__}: {error}")
    if data is None:
        return _Picture(
            problem=f"Found {type_name(image)}, expected the bytes of a picture, a Pillow image or "
            f"a matplotlib figure."
        )
    kind = image_kind(data)
    if kind is None:
        return _Picture(
            problem=f"Found {len(data):,} bytes that begin with {data[:8]!r}, expected a picture."
        )
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return _Picture(source, _figure_width(data) if _figure(image) is not None else None)


def is_picture(value: object) -> bool:
    """Whether a value is a picture by its type or, if it is bytes, by how it begins."""
    if isinstance(value, bytes):
        return image_kind(value) is not None
    library = type(value).__module__.partition(".")[0]
    return (library == "PIL" and hasattr(value, "save")) or (
        library == "matplotlib" and hasattr(value, "savefig")
    )


def image_kind(data: bytes) -> str | None:
    """``png``, ``jpeg`` …, as in ``image/png``; None if the bytes are no picture."""
    for signature, kind in _SIGNATURES:
        if data.startswith(signature):
            return kind
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "webp"
    return "svg+xml" if _SVG.match(data[:2000]) else None


def _drawn(image: Any) -> bytes | None:
    """The PNG that an object draws of itself; None if it cannot."""
    stream = io.BytesIO()
    figure = _figure(image)
    if figure is not None:
        figure.savefig(stream, format="png", bbox_inches="tight", dpi=_FIGURE_DPI)
    elif callable(getattr(image, "save", None)):
        image.save(stream, format="PNG")
    else:
        return None
    return stream.getvalue()


def _figure(image: Any) -> Any:
    """What of matplotlib is in an object: itself, the figure of axes or of seaborn's grids; or None."""
    get_figure = getattr(image, "get_figure", None)
    for found in (image, get_figure() if callable(get_figure) else getattr(image, "figure", None)):
        if callable(getattr(found, "savefig", None)):
            return found
    return None


def _figure_width(png: bytes) -> int:
    """How wide a figure is to be shown, in CSS pixels: an inch has 96. The header tells its own."""
    return round(int.from_bytes(png[16:20], "big") * 96 / _FIGURE_DPI)
