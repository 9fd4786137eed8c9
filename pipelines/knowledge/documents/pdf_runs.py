"""The characters of a PDF's page, by PDFium, as runs of glyphs that one operator draws without a gap."""

import ctypes
import math
from dataclasses import dataclass, field
from typing import Any

import pypdfium2.raw as pdfium

UNKNOWN = 0xFFFD
QUARTERS = 4

_APART = 0.5  # of the font size
_DOUBLED = 0.12
_WIDE = 0.9
_FONT_NAME_BYTES = 256
# PDFium's mark for a hyphen at the end of a line, before a word that continues.
_HYPHEN = 2
_SPACE, _DELETE = 0x20, 0x7F
_LINE_ENDS = frozenset({0x0A, 0x0D})
_WORD_ENDS = _LINE_ENDS | {_SPACE}
_NOT_CHARACTERS = frozenset({0, 0xFFFE, 0xFFFF})
_LAM, _ALEFS = 0x644, frozenset({0x622, 0x623, 0x625, 0x627})
_BOLD = ("bold", "black", "heavy", "semibd", "demi")


# Functions called for every glyph take and return plain numbers: the binding's own types take several times as long.
def _plain(function: Any, result: Any, *others: Any) -> Any:
    address = ctypes.cast(function, ctypes.c_void_p).value or 0
    return ctypes.CFUNCTYPE(result, ctypes.c_void_p, *others)(address)


_INT, _ADDRESS = ctypes.c_int, ctypes.c_void_p
_count_of = _plain(pdfium.FPDFText_CountChars, _INT)
_code_of = _plain(pdfium.FPDFText_GetUnicode, ctypes.c_uint, _INT)
_object_of = _plain(pdfium.FPDFText_GetTextObject, _ADDRESS, _INT)
_origin_of = _plain(pdfium.FPDFText_GetCharOrigin, _INT, _INT, _ADDRESS, _ADDRESS)
_box_of = _plain(pdfium.FPDFText_GetLooseCharBox, _INT, _INT, _ADDRESS)
_error_of = _plain(pdfium.FPDFText_HasUnicodeMapError, _INT, _INT)


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
class Font:
    """A font as one text object uses it. `key` tells fonts with the same name apart, `size` is in points."""

    key: int
    name: str
    size: float
    bold: bool
    quarter: int


@dataclass(slots=True)
class Run:
    """Glyphs of one text object, with their positions in the frame of their own direction."""

    font: Font
    x: float
    y: float
    end: float
    codes: list[int]
    unknown: int = 0
    guessed: int = 0
    text: str = ""
    # The glyphs without a character known to PDFium, as (place in `codes`, number of the glyph).
    doubts: list[tuple[int, int]] = field(default_factory=list)


class RunReader:
    """Reads a text page once, in the order in which PDFium gives its characters."""

    def __init__(self, text: Any, corners: tuple[float, float, float, float], turned: frozenset[int]) -> None:
        self._text = text
        self._turned = turned
        self._handle = ctypes.cast(text, ctypes.c_void_p).value or 0
        self._codes: list[int] = []
        self._frames = [Frame(quarter, *corners) for quarter in range(QUARTERS)]
        self._names: dict[int, str] = {}
        # Where each character was drawn, and by which object: a bold face is often made by drawing twice.
        self._drawn: dict[tuple[int, int], list[tuple[float, float, int]]] = {}
        self._origin = ctypes.c_double(), ctypes.c_double()
        self._box = pdfium.FS_RECTF()
        self._origin_at = tuple(map(ctypes.addressof, self._origin))
        self._box_at = ctypes.addressof(self._box)
        self._runs: list[Run] = []
        self._run: Run | None = None
        self._font: Font | None = None
        self._owner = 0

    def read(self) -> list[Run]:
        """All runs of the page."""
        handle = self._handle
        self._codes = codes = [_code_of(handle, index) for index in range(_count_of(handle))]
        begin, count = 0, len(codes)
        while begin < count:
            end = begin + 1
            if codes[begin] in _WORD_ENDS:
                if self._run is not None:
                    self._run.codes.append(_SPACE)
                if codes[begin] != _SPACE:
                    self._run = None
            else:
                while end < count and codes[end] not in _WORD_ENDS:
                    end += 1
                self._word(begin, end)
            begin = end
        return self._runs

    def _word(self, begin: int, end: int) -> None:
        font = self._enter(begin)
        # A call per glyph takes five times as long. PDFium puts a space into a gap, but not in turned text.
        if font.quarter or (_object_of(self._handle, end - 1) or 0) != self._owner:
            for index in range(begin, end):
                self._piece(self._enter(index), index, index + 1)
        else:
            self._piece(font, begin, end)

    def _enter(self, index: int) -> Font:
        """The font of a glyph. A glyph of another object than the one before starts a run."""
        owner = _object_of(self._handle, index) or 0
        if self._font is None or owner != self._owner:
            self._run, self._owner, self._font = None, owner, self._font_at(index)
        return self._font

    def _piece(self, font: Font, first: int, behind: int) -> None:
        """Add glyphs of one object, one by one where they are too wide to have no gap."""
        run = self._run
        x, end, y = self._place(first, font.quarter)
        if behind - first > 1:
            x_last, end_last, _ = self._place(behind - 1, font.quarter)
            x, end = min(x, x_last), max(end, end_last)
            if end - x > _WIDE * font.size * (behind - first):
                for index in range(first, behind):
                    self._piece(font, index, index + 1)
                return
        drawn = (self._codes[first], int(y))
        if self._is_drawn(*drawn, x, y, font.size):
            return
        self._drawn.setdefault(drawn, []).append((x, y, self._owner))
        if run is not None and max(x - run.end, run.x - end) > _APART * font.size:
            run = None
        if run is None:
            run = self._run = Run(font, x, y, end, [])
            self._runs.append(run)
        self._add(run, first, behind)
        run.x, run.end = min(run.x, x), max(run.end, end)

    def _place(self, index: int, quarter: int) -> tuple[float, float, float]:
        """Where a glyph starts and ends on its line, and how high the line is."""
        _origin_of(self._handle, index, *self._origin_at)
        _box_of(self._handle, index, self._box_at)
        box, (left, low), frame = self._box, self._origin, self._frames[quarter]
        if not quarter:
            return box.left - frame.left, box.right - frame.left, low.value - frame.bottom
        one, other = frame.place(box.left, box.bottom)[0], frame.place(box.right, box.top)[0]
        return min(one, other), max(one, other), frame.place(left.value, low.value)[1]

    def _add(self, run: Run, first: int, behind: int) -> None:
        codes = self._codes[first:behind]
        for place, code in enumerate(codes):
            if code == _HYPHEN and pdfium.FPDFText_IsHyphen(self._text, first + place) == 1:
                codes[place] = ord("-")
            elif code in _NOT_CHARACTERS or _error_of(self._handle, first + place) == 1:
                # A font without a table gives its own numbers; those of simple fonts are ASCII more often than not.
                guessed = _SPACE <= code < _DELETE
                run.guessed += guessed
                run.unknown += not guessed
                run.doubts.append((len(run.codes) + place, code))
                codes[place] = code if guessed else UNKNOWN
        if _LAM in codes:
            self._turn_ligatures(codes, first)
        run.codes.extend(codes)

    def _turn_ligatures(self, codes: list[int], first: int) -> None:
        """Restore ligatures: PDFium reverses right-to-left text by glyph, and with it the two letters of one glyph."""
        for place in range(len(codes) - 1):
            if codes[place] in _ALEFS and codes[place + 1] == _LAM:
                here, there = (self._place(first + place + step, 0) for step in (0, 1))
                if here == there:
                    codes[place : place + 2] = [_LAM, codes[place]]

    def _is_drawn(self, code: int, height_points: int, x: float, y: float, size: float) -> bool:
        near = _DOUBLED * size
        return any(
            by != self._owner and abs(left - x) < near and abs(height - y) < near
            for row in (height_points - 1, height_points, height_points + 1)
            for left, height, by in self._drawn.get((code, row), ())
        )

    def _font_at(self, index: int) -> Font:
        drawn_by = pdfium.FPDFText_GetTextObject(self._text, index)
        matrix = pdfium.FS_MATRIX(1, 0, 0, 1, 0, 0)
        pdfium.FPDFText_GetMatrix(self._text, index, matrix)
        points = abs(pdfium.FPDFText_GetFontSize(self._text, index)) * math.hypot(matrix.c, matrix.d) or 1.0
        is_turned = (ctypes.cast(drawn_by, ctypes.c_void_p).value or 0) in self._turned
        quarter = 0 if is_turned else round(math.degrees(math.atan2(matrix.b, matrix.a)) / 90) % QUARTERS
        handle = pdfium.FPDFTextObj_GetFont(drawn_by) if drawn_by else None
        key = (ctypes.cast(handle, ctypes.c_void_p).value or 0) if handle else 0
        if key not in self._names:
            name = ctypes.create_string_buffer(_FONT_NAME_BYTES)
            if handle:
                pdfium.FPDFFont_GetBaseFontName(handle, name, _FONT_NAME_BYTES)
            self._names[key] = name.value.decode("utf-8", "replace")
        name_here = self._names[key]
        return Font(key, name_here, points, any(word in name_here.lower() for word in _BOLD), quarter)
