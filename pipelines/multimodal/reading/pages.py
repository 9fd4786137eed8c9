"""A rendered page to lines: a PDF's own text when it has enough of it, OCR otherwise."""

from pathlib import Path
from typing import Any

from pipelines.multimodal.reading.layout import Piece, read_order

# A scan often carries a stamp or a page number as text; fewer characters than this are not a page.
_TEXT_FROM = 40


def read_page(page: dict[str, Any], folder: Path) -> dict[str, Any]:
    """``{"page", "width", "height", "unit", "source", "lines"}`` of what `files.opening.render` returned."""
    pieces = [Piece(run["text"], tuple(run["box"])) for run in page["runs"]]
    source = "text"
    if sum(len(piece.text) for piece in pieces) < _TEXT_FROM:
        from pipelines.multimodal.reading.ocr import read_image

        source = "ocr"
        pieces = [_scaled(piece, page["scale"]) for piece in read_image(folder / page["file"])]
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
    return Piece(piece.text, (left, top, right, bottom), piece.confidence)
