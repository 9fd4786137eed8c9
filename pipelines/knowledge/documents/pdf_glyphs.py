"""A PDF's page as fragments of text, by PDFium: what one operator draws side by side is one fragment.

PDFium knows the widths of glyphs, the predefined CMaps and the encodings of fonts, and reports for each glyph whether
it knows its character. PDFium is not thread-safe: hold `LOCK` around every use of it.
"""

import ctypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pypdfium2.raw as pdfium

from pipelines.knowledge.documents.document import clean
from pipelines.knowledge.documents.font_tables import characters_of
from pipelines.knowledge.documents.pdf_layout import Fragment
from pipelines.knowledge.documents.pdf_legibility import illegible_fonts
from pipelines.knowledge.documents.pdf_runs import QUARTERS, Frame, Run, RunReader
from pipelines.knowledge.documents.pdf_vertical import turn_vertical

LOCK = threading.Lock()

_FONT_BYTES_MAX = 32 * 1024 * 1024
_LIGATURES = str.maketrans({"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl"})


@dataclass(slots=True)
class PageText:
    """The text of a page, in drawing order. `illegible` counts the unreadable glyphs of each font."""

    frame: Frame
    fragments: list[Fragment] = field(default_factory=list)
    illegible: dict[str, int] = field(default_factory=dict)


def read_glyphs(page: Any) -> PageText:
    """The fragments of a page. Text that runs in another direction than most comes last, turned upright."""
    turned, corners = turn_vertical(page, _corners(page))
    rotation = pdfium.FPDFPage_GetRotation(page) % QUARTERS
    text = pdfium.FPDFText_LoadPage(page)
    runs = []
    if text:
        try:
            runs = RunReader(text, corners, turned).read()
        finally:
            pdfium.FPDFText_ClosePage(text)
    _look_up(runs)
    for run in runs:
        run.text = clean(_decoded(run.codes)).translate(_LIGATURES)
    unreadable = illegible_fonts((run.font.key, run.text, run.unknown, run.guessed) for run in runs)
    amounts: dict[int, int] = {}
    illegible: dict[str, int] = {}
    for run in runs:
        lost = len(run.codes) if run.font.key in unreadable else run.unknown
        if lost:
            illegible[run.font.name] = illegible.get(run.font.name, 0) + lost
        if run.font.key not in unreadable:
            amounts[run.font.quarter] = amounts.get(run.font.quarter, 0) + len(run.text)
    directions = sorted(amounts, key=lambda quarter: (-amounts[quarter], quarter != rotation))
    found = PageText(Frame(directions[0] if directions else rotation, *corners), illegible=illegible)
    for direction in directions:
        found.fragments.extend(
            Fragment(run.x, run.y, run.text, run.font.size, run.font.bold, run.end)
            for run in runs
            if run.font.quarter == direction and run.font.key not in unreadable
        )
    return found


def _corners(page: Any) -> tuple[float, float, float, float]:
    box = pdfium.FS_RECTF()
    if not pdfium.FPDF_GetPageBoundingBox(page, box):
        return 0.0, 0.0, pdfium.FPDF_GetPageWidthF(page), pdfium.FPDF_GetPageHeightF(page)
    return min(box.left, box.right), min(box.bottom, box.top), max(box.left, box.right), max(box.bottom, box.top)


def _decoded(codes: list[int]) -> str:
    # PDFium returns UTF-16: characters beyond the first plane come as two.
    text = "".join(map(chr, codes))
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _look_up(runs: Sequence[Run]) -> None:
    """Look up in the font itself the characters that PDFium does not know; it returns glyph numbers for them."""
    doubted: dict[int, list[Run]] = {}
    for run in runs:
        if run.doubts:
            doubted.setdefault(run.font.key, []).append(run)
    for key, of_font in doubted.items():
        # Where all numbers look like letters, they are letters: simple fonts number their glyphs so.
        characters = _characters(key) if any(run.unknown for run in of_font) else {}
        for run in of_font if characters else ():
            for place, glyph in run.doubts:
                if glyph in characters:
                    run.codes[place] = characters[glyph]
            known = sum(glyph in characters for _, glyph in run.doubts)
            run.guessed, run.unknown = 0, len(run.doubts) - known


def _characters(font: int) -> dict[int, int]:
    size = ctypes.c_size_t()
    handle = ctypes.cast(font, pdfium.FPDF_FONT)
    if not font or not pdfium.FPDFFont_GetFontData(handle, None, 0, size) or not 0 < size.value <= _FONT_BYTES_MAX:
        return {}
    data = (ctypes.c_uint8 * size.value)()
    return characters_of(bytes(data)) if pdfium.FPDFFont_GetFontData(handle, data, size.value, size) else {}
