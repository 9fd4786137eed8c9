"""Reads a rendered page into lines: a PDF's own text when there is enough of it, OCR otherwise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipelines.multimodal.reading.layout import Piece, read_order
from pipelines.multimodal.reading.recognition import read_image

# A scan often carries a stamp or a page number as text; fewer characters than this are not a page.
_TEXT_FROM = 40


def read_page(page: dict[str, Any], folder: Path, check: Callable[[], None]) -> dict[str, Any]:
    """``{"page", "width", "height", "unit", "source", "lines"}`` from the result of `files.isolation.render`.

    Raises `CapabilityFailure` and the exceptions of `check`.
    """
    pieces = [Piece(run["text"], tuple(run["box"])) for run in page["runs"]]
    source = "text"
    if sum(len(piece.text) for piece in pieces) < _TEXT_FROM:
        source = "ocr"
        pieces = [_scaled(piece, page["scale"]) for piece in read_image(folder / page["file"], check)]
    return {
        "page": page["number"],
        "width": page["width"],
        "height": page["height"],
        "unit": page["unit"],
        "source": source,
        "lines": read_order(pieces, page["width"]),
    }


def _scaled(piece: Piece, scale: float) -> Piece:
    left, top, right, bottom = (round(edge / scale, 1) for edge in piece.box)
    return Piece(piece.text, (left, top, right, bottom), piece.confidence, piece.drop / scale)
