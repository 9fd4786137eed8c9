"""The glyphs of a PDF's page, by PDFium, as fragments of text: what one operator draws side by side is one fragment.

PDFium knows the widths of glyphs, the predefined CMaps and the encodings of fonts, and says of each glyph whether it
knows its character. PDFium is not thread-safe: hold `LOCK` around everything that is done with it.
"""

import ctypes
import math
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pypdfium2.raw as pdfium

from pipelines.knowledge.documents.document import clean
from pipelines.knowledge.documents.pdf_layout import Fragment
from pipelines.knowledge.documents.pdf_legibility import UNKNOWN, illegible_fonts

LOCK = threading.Lock()

_APART = 0.5  # of the font size
_DOUBLED = 0.12
_FONT_NAME_BYTES = 256
_QUARTERS = 4
# PDFium's mark for a hyphen at the end of a line, before a word that goes on.
_HYPHEN = 2
_SPACE, _NO_BREAK_SPACE, _DELETE = 0x20, 0xA0, 0x7F
_LINE_ENDS = frozenset({0x0A, 0x0D})
_NOT_CHARACTERS = frozenset({0, 0xFFFE, 0xFFFF})
_BOLD = ("bold", "black", "heavy", "semibd", "demi")
_LIGATURES = str.maketrans({"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl"})


@dataclass(frozen=True, slots=True)
class Frame:
    """A page turned by quarters until its text runs from left to right, with its lower left corner at (0, 0)."""

    quarter: int
    left: float
    bottom: float
    right: float
    top: float

    @property
    def height(self) -> float:
        """In points."""
        return (self.right - self.left if self.quarter % 2 else self.top - self.bottom) or 1.0

    def place(self, x: float, y: float) -> tuple[float, float]:
        """A point of the page in this frame."""
        match self.quarter:
            case 1:
                return y - self.bottom, self.right - x
            case 2:
                return self.right - x, self.top - y
            case 3:
                return self.top - y, x - self.left
            case _:
                return x - self.left, y - self.bottom


@dataclass(slots=True)
class PageText:
    """What stands on a page, in drawing order. `illegible` counts the glyphs of each font that nobody can read."""

    frame: Frame
    fragments: list[Fragment] = field(default_factory=list)
    illegible: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Font:
    """A font as one text object uses it. `key` tells fonts with the same name apart, `size` is in points."""

    key: int
    name: str
    size: float
    bold: bool
    quarter: int


@dataclass(slots=True)
class Run:
    """Glyphs of one text object, with their place in the frame of their own direction."""

    font: Font
    x: float
    y: float
    end: float
    codes: list[int]
    unknown: int = 0
    guessed: int = 0
    text: str = ""


def read_glyphs(page: Any) -> PageText:
    """The fragments of a page. Text that runs in another direction than most comes last, turned upright."""
    corners = _box(page)
    rotation = pdfium.FPDFPage_GetRotation(page) % _QUARTERS
    text = pdfium.FPDFText_LoadPage(page)
    runs = []
    if text:
        try:
            runs = list(_Runs(text, corners))
        finally:
            pdfium.FPDFText_ClosePage(text)
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


def _box(page: Any) -> tuple[float, float, float, float]:
    sides = [ctypes.c_float() for _ in range(4)]
    if pdfium.FPDFPage_GetCropBox(page, *sides) or pdfium.FPDFPage_GetMediaBox(page, *sides):
        left, bottom, right, top = (side.value for side in sides)
        return min(left, right), min(bottom, top), max(left, right), max(bottom, top)
    return 0.0, 0.0, pdfium.FPDF_GetPageWidthF(page), pdfium.FPDF_GetPageHeightF(page)


def _decoded(codes: list[int]) -> str:
    # PDFium gives UTF-16: what is beyond the first plane comes as two.
    text = "".join(map(chr, codes))
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class _Runs:
    """Iterates over a text page once."""

    def __init__(self, text: Any, corners: tuple[float, float, float, float]) -> None:
        self._text = text
        self._frames = [Frame(quarter, *corners) for quarter in range(_QUARTERS)]
        self._names: dict[int, str] = {}
        # Where each character has been drawn, and by which object: a bold face is often made by drawing twice.
        self._drawn: dict[tuple[int, int], list[tuple[float, float, int]]] = {}

    def __iter__(self) -> Iterator[Run]:
        text, run, owner, font = self._text, None, 0, None
        origin = ctypes.c_double(), ctypes.c_double()
        origin_at = tuple(map(ctypes.byref, origin))
        box = pdfium.FS_RECTF()
        box_at = ctypes.byref(box)
        for index in range(pdfium.FPDFText_CountChars(text)):
            code = pdfium.FPDFText_GetUnicode(text, index)
            if code in _LINE_ENDS or (code == _SPACE and pdfium.FPDFText_IsGenerated(text, index) == 1):
                if run is not None and code == _SPACE:
                    run.codes.append(_SPACE)
                elif run is not None:
                    yield run
                    run = None
                continue
            drawn_by = pdfium.FPDFText_GetTextObject(text, index)
            address = ctypes.cast(drawn_by, ctypes.c_void_p).value or 0
            if font is None or address != owner:
                if run is not None:
                    yield run
                    run = None
                owner, font = address, self._font(index, drawn_by)
            pdfium.FPDFText_GetCharOrigin(text, index, *origin_at)
            pdfium.FPDFText_GetLooseCharBox(text, index, box_at)
            frame = self._frames[font.quarter]
            one = frame.place(box.left, box.bottom)[0]
            other = frame.place(box.right, box.top)[0]
            x, end = min(one, other), max(one, other)
            y = frame.place(origin[0].value, origin[1].value)[1]
            if self._is_doubled(code, x, y, font.size, owner):
                continue
            unknown = guessed = False
            if code == _HYPHEN and pdfium.FPDFText_IsHyphen(text, index) == 1:
                code = ord("-")
            elif code in _NOT_CHARACTERS or pdfium.FPDFText_HasUnicodeMapError(text, index) == 1:
                # A font without a table gives its own numbers; those of simple fonts are ASCII more often than not.
                guessed = _SPACE < code < _DELETE
                code, unknown = (code, False) if guessed else (UNKNOWN, True)
            if run is not None and max(x - run.end, run.x - end) > _APART * font.size:
                yield run
                run = None
            if run is None:
                run = Run(font, x, y, end, [])
            run.codes.append(code)
            run.unknown += unknown
            run.guessed += guessed
            if code not in {_SPACE, _NO_BREAK_SPACE}:
                run.x, run.end = min(run.x, x), max(run.end, end)
        if run is not None:
            yield run

    def _is_doubled(self, code: int, x: float, y: float, size: float, owner: int) -> bool:
        near = _DOUBLED * size
        for row in {math.floor(y - 0.5), math.floor(y + 0.5)}:
            for left, height, by in self._drawn.get((code, row), ()):
                if by != owner and abs(left - x) < near and abs(height - y) < near:
                    return True
        self._drawn.setdefault((code, math.floor(y)), []).append((x, y, owner))
        return False

    def _font(self, index: int, drawn_by: Any) -> Font:
        matrix = pdfium.FS_MATRIX(1, 0, 0, 1, 0, 0)
        pdfium.FPDFText_GetMatrix(self._text, index, matrix)
        points = abs(pdfium.FPDFText_GetFontSize(self._text, index)) * math.hypot(matrix.c, matrix.d) or 1.0
        quarter = round(math.degrees(math.atan2(matrix.b, matrix.a)) / 90) % _QUARTERS
        handle = pdfium.FPDFTextObj_GetFont(drawn_by) if drawn_by else None
        key = (ctypes.cast(handle, ctypes.c_void_p).value or 0) if handle else 0
        if key not in self._names:
            name = ctypes.create_string_buffer(_FONT_NAME_BYTES)
            if handle:
                pdfium.FPDFFont_GetBaseFontName(handle, name, _FONT_NAME_BYTES)
            self._names[key] = name.value.decode("utf-8", "replace")
        name_here = self._names[key]
        return Font(key, name_here, points, any(word in name_here.lower() for word in _BOLD), quarter)
