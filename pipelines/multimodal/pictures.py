"""Pictures of pages that were rendered in the sandbox: thumbnails, pictures for models, and ones with boxes drawn."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

_THUMBNAIL_SIDE = 240
_SEEN_SIDE = 1568
_RED = (200, 30, 30)


def thumbnail(path: Path) -> bytes:
    """The page as a JPEG whose longer side is 240 pixels."""
    return _jpeg(path, _THUMBNAIL_SIDE)


def seen(path: Path) -> Path:
    """A JPEG beside `path` in the size for models."""
    target = path.with_suffix(".jpg")
    target.write_bytes(_jpeg(path, _SEEN_SIDE))
    return target


def annotated(path: Path, scale: float, boxes: Sequence[Mapping[str, Any]]) -> bytes:
    """The page as PNG with the boxes, given in the page's unit, drawn and numbered."""
    from PIL import Image, ImageDraw

    with Image.open(path) as page:
        drawn = page.convert("RGB")
    pen = ImageDraw.Draw(drawn)
    for number, place in enumerate(boxes, start=1):
        left, top, right, bottom = (edge * scale for edge in place["box"])
        pen.rectangle((left - 4, top - 4, right + 4, bottom + 4), outline=_RED, width=3)
        pen.text((right + 8, top), str(number), fill=_RED)
    sink = BytesIO()
    drawn.save(sink, "PNG", optimize=True)
    return sink.getvalue()


def _jpeg(path: Path, side: int) -> bytes:
    from PIL import Image

    with Image.open(path) as page:
        page.thumbnail((side, side))
        sink = BytesIO()
        page.convert("RGB").save(sink, "JPEG", quality=85)
    return sink.getvalue()
