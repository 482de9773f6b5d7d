from __future__ import annotations

import base64
from typing import IO, Any

import pytest

from flowsdk.cards import Image
from flowsdk.cards.image import is_picture
from tests.flowsdk.cards.outline import HOSTILE, assert_harmless

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


class Figure:
    """As a matplotlib figure draws itself."""

    def savefig(self, stream: IO[bytes], format: str, **_: Any) -> None:
        assert format == "png"
        stream.write(PNG)


class Axes:
    def get_figure(self) -> Figure:
        return Figure()


class Grid:
    figure = Figure()


class Pillow:
    def save(self, stream: IO[bytes], format: str) -> None:
        assert format == "PNG"
        stream.write(PNG)


class Broken:
    def savefig(self, stream: IO[bytes], **_: Any) -> None:
        raise RuntimeError("no display")


@pytest.mark.parametrize(
    "source",
    [PNG, bytearray(PNG), f"data:image/png;base64,{base64.b64encode(PNG).decode()}", Figure(),
     Axes(), Grid(), Pillow()],
    ids=lambda source: type(source).__name__,
)  # fmt: skip
def test_a_picture_is_embedded(source: object) -> None:
    (picture,) = assert_harmless(Image(source, label="A dot").render()).all("img")
    assert picture["alt"] == "A dot"
    assert base64.b64decode(picture["src"].removeprefix("data:image/png;base64,")) == PNG


def test_a_figure_is_shown_in_the_size_it_was_made_for() -> None:
    wide = PNG[:16] + (864).to_bytes(4, "big") + PNG[20:]

    class Wide:
        def savefig(self, stream: IO[bytes], dpi: int, **_: Any) -> None:
            assert dpi == 144
            stream.write(wide)

    assert assert_harmless(Image(Wide()).render()).all("img")[0]["width"] == "576"
    assert "width" not in assert_harmless(Image(wide).render()).all("img")[0]


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"\xff\xd8\xff\xe0", "jpeg"),
        (b"GIF89a", "gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "webp"),
        (
            b'<?xml version="1.0"?>\n<!-- x -->\n<svg xmlns="http://www.w3.org/2000/svg"/>',
            "svg+xml",
        ),
    ],
)
def test_the_format_is_told_by_the_bytes(data: bytes, kind: str) -> None:
    (picture,) = assert_harmless(Image(data).render()).all("img")
    assert picture["src"].startswith(f"data:image/{kind};base64,")


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (b"text", "expected a picture"),
        ("https://example.org/x.png", "expected a data: URI"),
        (None, "Found NoneType"),
        (Broken(), "RuntimeError: no display"),
        ('data:image/png;base64,"><script>', "expected a data: URI"),
    ],
)
def test_what_is_no_picture_is_said_in_its_place(source: object, why: str) -> None:
    outline = assert_harmless(Image(source).render())
    assert why in outline.text
    assert not outline.all("img")


@pytest.mark.parametrize("label", HOSTILE)
def test_a_hostile_label_is_text(label: str) -> None:
    assert len(assert_harmless(Image(PNG, label).render()).all("img")) == 1


def test_a_picture_can_be_replaced_unless_it_is_fixed() -> None:
    picture = Image(PNG, "old")
    picture.update(b"GIF89a", "new")
    assert "image/gif" in picture.render()
    assert "new" in picture.render()
    fixed = Image.from_matplotlib(Figure(), "old", disable_updates=True)
    fixed.update(b"GIF89a")
    assert "image/png" in fixed.render()


def test_only_pictures_among_the_artifacts_are_shown_as_such() -> None:
    figure = type("Figure", (Figure,), {"__module__": "matplotlib.figure"})()
    pillow = type("Image", (Pillow,), {"__module__": "PIL.Image"})()
    model = type("Model", (Pillow,), {"__module__": "keras.models"})()
    assert [is_picture(value) for value in (PNG, figure, pillow, model, b"text", 3)] == [
        True, True, True, False, False, False
    ]  # fmt: skip
