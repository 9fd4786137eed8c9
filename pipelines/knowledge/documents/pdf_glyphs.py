"""The glyphs of a PDF's page, by PDFium, as fragments of text: what one operator draws side by side is one fragment.

PDFium knows the widths of glyphs, the predefined CMaps and the encodings of fonts, and says of each glyph whether it
knows its character. PDFium is not thread-safe: hold `LOCK` around everything that is done with it.
"""

import ctypes
import math
import threading
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
_NO_WIDTH = 0.01
# PDFium's mark for a hyphen at the end of a line, before a word that goes on.
_HYPHEN = 2
_SPACE, _DELETE = 0x20, 0x7F
_BLANKS = frozenset({_SPACE, 0xA0})
_LINE_ENDS = frozenset({0x0A, 0x0D})
_NOT_CHARACTERS = frozenset({0, 0xFFFE, 0xFFFF})
_BOLD = ("bold", "black", "heavy", "semibd", "demi")
_LIGATURES = str.maketrans({"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl"})

# As a number, which can be compared; the binding makes an object of it each time.
_object_of = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int)(
    ctypes.cast(pdfium.FPDFText_GetTextObject, ctypes.c_void_p).value or 0
)


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
    corners = _corners(page)
    rotation = pdfium.FPDFPage_GetRotation(page) % _QUARTERS
    text = pdfium.FPDFText_LoadPage(page)
    runs = []
    if text:
        try:
            runs = _Reader(text, corners).read()
        finally:
            pdfium.FPDFText_ClosePage(text)
    for run in runs:
        run.text = clean(_decoded(run.codes)).translate(_LIGATURES)
    flat = _flat_objects(page)
    unreadable = illegible_fonts((run.font.key, run.text, run.unknown, run.guessed) for run in runs)
    amounts: dict[int, int] = {}
    illegible: dict[str, int] = {"": flat} if flat else {}
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


def _flat_objects(page: Any) -> int:
    """The texts that PDFium passes over as having no width: vertical lines in a font that is neither here nor there."""
    sides = [ctypes.c_float() for _ in range(4)]
    count = 0
    for index in range(pdfium.FPDFPage_CountObjects(page)):
        drawn = pdfium.FPDFPage_GetObject(page, index)
        if pdfium.FPDFPageObj_GetType(drawn) == pdfium.FPDF_PAGEOBJ_TEXT:
            pdfium.FPDFPageObj_GetBounds(drawn, *sides)
            left, bottom, right, top = (side.value for side in sides)
            count += abs(right - left) < _NO_WIDTH < abs(top - bottom)
    return count


def _decoded(codes: list[int]) -> str:
    # PDFium gives UTF-16: what is beyond the first plane comes as two.
    text = "".join(map(chr, codes))
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


class _Reader:
    """Reads a text page once, in the order in which PDFium gives its characters."""

    def __init__(self, text: Any, corners: tuple[float, float, float, float]) -> None:
        self._text = text
        self._frames = [Frame(quarter, *corners) for quarter in range(_QUARTERS)]
        self._names: dict[int, str] = {}
        # Where each character has been drawn, and by which object: a bold face is often made by drawing twice.
        self._drawn: dict[tuple[int, int], list[tuple[float, float, int]]] = {}
        self._origin = ctypes.c_double(), ctypes.c_double()
        self._box = pdfium.FS_RECTF()
        self._runs: list[Run] = []
        self._run: Run | None = None
        self._font: Font | None = None
        self._owner = 0
        self._doubling = False

    def read(self) -> list[Run]:
        """All runs of the page."""
        text = self._text
        for index in range(pdfium.FPDFText_CountChars(text)):
            code = pdfium.FPDFText_GetUnicode(text, index)
            if code in _LINE_ENDS:
                self._run = None
            elif code == _SPACE and pdfium.FPDFText_IsGenerated(text, index) == 1:
                if self._run is not None:
                    self._run.codes.append(_SPACE)
            else:
                self._glyph(index, code)
        return self._runs

    def _glyph(self, index: int, code: int) -> None:
        owner = _object_of(self._text, index) or 0
        begins = self._font is None or owner != self._owner
        if self._font is None or begins:
            self._run, self._owner, self._font = None, owner, self._font_at(index)
        font, run = self._font, self._run
        x, end, y = self._place(index, font.quarter)
        # An object that draws over another begins on one of its glyphs.
        if begins or self._doubling:
            self._doubling = self._is_drawn(code, x, y, font.size)
            if self._doubling:
                return
        self._drawn.setdefault((code, int(y)), []).append((x, y, owner))
        if run is not None and max(x - run.end, run.x - end) > _APART * font.size:
            run = None
        if run is None:
            run = self._run = Run(font, x, y, end, [])
            self._runs.append(run)
        run.codes.append(self._known(index, code, run))
        if code not in _BLANKS:
            run.x, run.end = min(run.x, x), max(run.end, end)

    def _place(self, index: int, quarter: int) -> tuple[float, float, float]:
        """Where a glyph begins and ends on its line, and how high the line is."""
        pdfium.FPDFText_GetCharOrigin(self._text, index, *self._origin)
        pdfium.FPDFText_GetLooseCharBox(self._text, index, self._box)
        box, (left, low), frame = self._box, self._origin, self._frames[quarter]
        if not quarter:
            return box.left - frame.left, box.right - frame.left, low.value - frame.bottom
        one, other = frame.place(box.left, box.bottom)[0], frame.place(box.right, box.top)[0]
        return min(one, other), max(one, other), frame.place(left.value, low.value)[1]

    def _known(self, index: int, code: int, run: Run) -> int:
        """The character of a glyph, or the one for unknown characters."""
        if code == _HYPHEN and pdfium.FPDFText_IsHyphen(self._text, index) == 1:
            return ord("-")
        if code not in _NOT_CHARACTERS and pdfium.FPDFText_HasUnicodeMapError(self._text, index) != 1:
            return code
        # A font without a table gives its own numbers; those of simple fonts are ASCII more often than not.
        if _SPACE <= code < _DELETE:
            run.guessed += 1
            return code
        run.unknown += 1
        return UNKNOWN

    def _is_drawn(self, code: int, x: float, y: float, size: float) -> bool:
        near = _DOUBLED * size
        return any(
            by != self._owner and abs(left - x) < near and abs(height - y) < near
            for row in (int(y) - 1, int(y), int(y) + 1)
            for left, height, by in self._drawn.get((code, row), ())
        )

    def _font_at(self, index: int) -> Font:
        drawn_by = pdfium.FPDFText_GetTextObject(self._text, index)
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
