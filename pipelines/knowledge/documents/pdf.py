"""PDF by pypdf: text page by page, running headers and footers removed, headings by bookmark or by type."""

import io
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from pypdf import PasswordType, PdfReader
from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError

from pipelines.knowledge.documents.document import Builder, Document, LeftOut, clean, one_line
from pipelines.knowledge.documents.errors import (
    CORRUPT,
    ENCRYPTED,
    NO_TEXT,
    TOO_LARGE,
    TOO_SLOW,
    UnreadableDocument,
)
from pipelines.knowledge.documents.limits import Limits
from pipelines.knowledge.documents.pdf_layout import Fragment, Row, build_rows, scale_of
from pipelines.knowledge.documents.pdf_structure import write_sheets
from pipelines.knowledge.documents.running_heads import Sheet

MEDIA_TYPE = "application/pdf"

_TEMPLATE_TITLE = re.compile(
    r"(untitled.*|microsoft \w+ - .*|.*\.(docx?|pdf|indd|rtf|tex|dvi)|document ?\d*)", re.IGNORECASE
)
_LIGATURES = str.maketrans({"\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi", "\ufb04": "ffl"})
_OUTLINE_MAX = 5000


@dataclass(frozen=True, slots=True)
class _Contents:
    title: str
    sheets: list[Sheet]
    outline: dict[str, int]
    left_out: list[LeftOut]


def read_pdf(data: bytes, *, fallback_title: str, limits: Limits) -> Document:
    """Read a PDF with a text layer.

    Raises `UnreadableDocument`: corrupt, encrypted, no text (a scan), too large, or not read within the time allowed.
    """
    contents = _open(data, limits)
    if not contents.sheets:
        raise UnreadableDocument("This PDF has no pages.", code=CORRUPT)
    if not any(sheet.rows for sheet in contents.sheets):
        raise UnreadableDocument(
            "This PDF holds only pictures of pages. Run it through text recognition (OCR) first.", code=NO_TEXT
        )
    builder = Builder(MEDIA_TYPE, title=contents.title, page_count=len(contents.sheets))
    write_sheets(contents.sheets, contents.outline, builder)
    for each in contents.left_out:
        builder.leave_out(each)
    return builder.build(fallback_title=fallback_title)


def _open(data: bytes, limits: Limits) -> _Contents:
    try:
        return _parse(data, limits)
    except UnreadableDocument:
        raise
    except (FileNotDecryptedError, DependencyError) as error:
        raise _encrypted() from error
    except LimitReachedError as error:
        raise UnreadableDocument("A part of this PDF unpacks to more than is allowed.", code=TOO_LARGE) from error
    except MemoryError as error:
        raise UnreadableDocument("This PDF needs more memory than is allowed.", code=TOO_LARGE) from error
    except Exception as error:
        # A damaged PDF can make the parser fail in any way, from KeyError to RecursionError; all mean the same here.
        raise UnreadableDocument("This PDF is damaged and cannot be opened.", code=CORRUPT) from error


def _parse(data: bytes, limits: Limits) -> _Contents:
    deadline = time.thread_time() + limits.seconds
    reader = PdfReader(io.BytesIO(data), strict=False)
    _unlock(reader)
    count = len(reader.pages)
    if count > limits.pages:
        raise UnreadableDocument(f"This PDF has {count:,} pages; at most {limits.pages:,} are read.", code=TOO_LARGE)
    sheets = [
        Sheet(number, float(page.mediabox.top) or 1.0, _rows(page, deadline))
        for number, page in enumerate(reader.pages, start=1)
    ]
    left_out = [LeftOut("page_without_text", pages=(sheet.number,)) for sheet in sheets if not sheet.rows]
    for number, page in enumerate(reader.pages, start=1):
        left_out.extend(_annotations(page, number))
    left_out.extend(LeftOut("embedded", name) for name in reader.attachments)
    return _Contents(_title(reader), sheets, _outline(reader), left_out)


def _annotations(page: Any, number: int) -> Iterator[LeftOut]:
    """What is laid over a page: remarks, and the values of form fields."""
    for reference in page.get("/Annots") or ():
        annotation = reference.get_object()
        if annotation.get("/Subtype") == "/Widget":
            value = annotation.get("/V")
            if isinstance(value, str) and value.strip():
                yield LeftOut("form_field", f"{annotation.get('/T', '')}: {value}".removeprefix(": "), (number,))
        elif (said := one_line(str(annotation.get("/Contents") or ""))) and annotation.get("/Subtype") != "/Link":
            yield LeftOut("comment", said, (number,))


def _unlock(reader: PdfReader) -> None:
    # Most "encrypted" files only forbid printing and open with the empty password, as every viewer does.
    if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
        raise _encrypted()


def _encrypted() -> UnreadableDocument:
    return UnreadableDocument("This PDF is protected by a password.", code=ENCRYPTED)


def _title(reader: PdfReader) -> str:
    title = one_line(str(reader.metadata.title or "")) if reader.metadata else ""
    return "" if _TEMPLATE_TITLE.fullmatch(title) else title


def _rows(page: Any, deadline: float) -> list[Row]:
    fragments: list[Fragment] = []

    def on_text(text: str, user: list[float], matrix: list[float], font: Any, size: float) -> None:
        lines = clean(text).translate(_LIGATURES).split("\n")
        if not any(line.strip() for line in lines):
            return
        x = matrix[4] * user[0] + matrix[5] * user[2] + user[4]
        y = matrix[4] * user[1] + matrix[5] * user[3] + user[5]
        points = abs(float(size)) * scale_of(matrix) * scale_of(user) or 1.0
        bold = font is not None and _is_bold(str(font.get("/BaseFont", "")))
        below = 0
        for line in lines:
            if line.strip():
                fragments.append(Fragment(x, y - below * points, line, points, bold))
                below += 1

    page.extract_text(visitor_text=on_text, visitor_operand_before=_stop_at(deadline))
    return build_rows(fragments)


def _stop_at(deadline: float) -> Callable[[Any, Any, Any, Any], None]:
    """A visitor that ends the extraction in processor time; it is called before every drawing operation."""

    def check(*_: Any) -> None:
        if time.thread_time() > deadline:
            raise UnreadableDocument("Reading this PDF takes longer than is allowed.", code=TOO_SLOW)

    return check


def _is_bold(font_name: str) -> bool:
    name = font_name.lower()
    return any(word in name for word in ("bold", "black", "heavy", "semibd", "demi"))


def _outline(reader: PdfReader) -> dict[str, int]:
    """The bookmarks: title in lower case to level, from 1."""
    levels: dict[str, int] = {}

    def walk(entries: Any, level: int) -> None:
        for entry in entries:
            if isinstance(entry, list):
                walk(entry, level + 1)
            elif len(levels) < _OUTLINE_MAX and entry.title:
                levels.setdefault(one_line(str(entry.title)).casefold(), level)

    walk(reader.outline, 1)
    return levels
