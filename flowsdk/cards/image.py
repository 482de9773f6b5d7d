"""``Image``: a picture inside the card."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

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
        self._source, self._problem = _data_uri(src)

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
        self._source, self._problem = _data_uri(image)
        if label is not None:
            self._label = label

    def render(self) -> str:
        """The component as HTML."""
        if self._source is None:
            return failure("Image cannot be shown", self._problem)
        label = "" if self._label is None else str(self._label)
        caption = f"<figcaption>{escape(label)}</figcaption>" if label else ""
        alt = escape(label or "Image without a description")
        return f'<figure class="image"><img src="{self._source}" alt="{alt}">{caption}</figure>'


def _data_uri(image: Any) -> tuple[str | None, str]:
    """A picture as a ``data:`` URI; or None, and why there is none."""
    data: bytes | None
    try:
        if isinstance(image, str):
            if _DATA_URI.fullmatch(image):
                return "".join(image.split()), ""
            return None, (
                f"Found the text {image[:80]!r}, expected a data: URI. A card loads nothing from "
                f"elsewhere: pass the picture's bytes."
            )
        if isinstance(image, (bytes, bytearray, memoryview)):
            data = bytes(image)
        else:
            data = _drawn(image)
    except Exception as error:  # noqa: BLE001  # a drawing library may raise anything
        return None, f"{type(error).__name__}: {error}"
    if data is None:
        return None, (
            f"Found {type_name(image)}, expected the bytes of a picture, a Pillow image or a "
            f"matplotlib figure."
        )
    kind = image_kind(data)
    if kind is None:
        return None, f"Found {len(data):,} bytes that begin with {data[:8]!r}, expected a picture."
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}", ""


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
    if not hasattr(image, "savefig"):
        if callable(getattr(image, "get_figure", None)):  # matplotlib's axes
            image = image.get_figure()
        elif hasattr(getattr(image, "figure", None), "savefig"):  # seaborn's grids
            image = image.figure
    stream = io.BytesIO()
    if callable(getattr(image, "savefig", None)):
        image.savefig(stream, format="png", bbox_inches="tight", dpi=144)
    elif callable(getattr(image, "save", None)):
        image.save(stream, format="PNG")
    else:
        return None
    return stream.getvalue()
