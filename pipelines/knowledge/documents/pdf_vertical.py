"""Vertical writing in a PDF, which PDFium passes over when its font is not in the file: such lines have no width.

A line from top to bottom is turned to run from left to right, so that the lines, which follow each other from right to
left, come from top to bottom.
"""

import ctypes
from typing import Any

import pypdfium2.raw as pdfium

Corners = tuple[float, float, float, float]

# Relative to the height of a line; a single glyph is about as wide as it is high.
_NARROW = 0.5
_UPRIGHT = 0.01
_GLYPHS = 1.5


def turn_vertical(page: Any, corners: Corners) -> tuple[frozenset[int], Corners]:
    """Turn the vertical lines of a page.

    Returns the addresses of the turned objects, and the corners (left, bottom, right, top) of the area to read. Beside
    horizontal text, vertical lines come below all of it.
    """
    drawn = [pdfium.FPDFPage_GetObject(page, index) for index in range(pdfium.FPDFPage_CountObjects(page))]
    texts = [each for each in drawn if pdfium.FPDFPageObj_GetType(each) == pdfium.FPDF_PAGEOBJ_TEXT]
    vertical = [each for each in texts if _is_vertical(each)]
    left, bottom, right, top = corners
    is_vertical_page = len(vertical) * 2 > len(texts)
    below = 0.0 if is_vertical_page else left - right
    for each in vertical:
        pdfium.FPDFPageObj_Transform(each, 0, 1, -1, 0, top, below)
    turned = frozenset(ctypes.cast(each, ctypes.c_void_p).value or 0 for each in vertical)
    return turned, (0.0, left, top - bottom, right) if is_vertical_page else corners


def _is_vertical(drawn: Any) -> bool:
    sides = [ctypes.c_float() for _ in range(4)]
    if not pdfium.FPDFPageObj_GetBounds(drawn, *sides):
        return False
    left, bottom, right, top = (side.value for side in sides)
    if right - left > _NARROW * (top - bottom):
        return False
    matrix = pdfium.FS_MATRIX()
    size = ctypes.c_float()
    if not pdfium.FPDFPageObj_GetMatrix(drawn, matrix) or not pdfium.FPDFTextObj_GetFontSize(drawn, size):
        return False
    is_upright = matrix.a > 0 and abs(matrix.b) < _UPRIGHT * matrix.a
    return bool(is_upright and top - bottom > _GLYPHS * size.value * abs(matrix.d))
