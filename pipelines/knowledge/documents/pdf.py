"""PDF: text page by page, running headers and footers removed, headings by bookmark or by type.

PDFium gives the glyphs; pypdf the rest: bookmarks, annotations, forms and embedded files.
"""

import contextlib
import io
import re
import time
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import pypdfium2
from pypdf import PasswordType, PdfReader
from pypdf.errors import DependencyError, FileNotDecryptedError, LimitReachedError

from pipelines.knowledge.documents.document import Builder, Document, LeftOut, one_line
from pipelines.knowledge.documents.errors import (
    CORRUPT,
    ENCRYPTED,
    NO_TEXT,
    TOO_LARGE,
    TOO_SLOW,
    UnreadableDocument,
)
from pipelines.knowledge.documents.limits import Limits
from pipelines.knowledge.documents.pdf_annotations import lay_over, read_annotations
from pipelines.knowledge.documents.pdf_columns import unfold_columns
from pipelines.knowledge.documents.pdf_glyphs import LOCK, PageText, read_glyphs
from pipelines.knowledge.documents.pdf_layout import build_rows
from pipelines.knowledge.documents.pdf_structure import write_sheets
from pipelines.knowledge.documents.running_heads import Sheet

MEDIA_TYPE = "application/pdf"

_TEMPLATE_TITLE = re.compile(
    r"(untitled.*|microsoft \w+ - .*|.*\.(docx?|pdf|indd|rtf|tex|dvi)|document ?\d*)", re.IGNORECASE
)
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
        if any(each.what == "illegible" for each in contents.left_out):
            raise UnreadableDocument(
                "The fonts of this PDF do not say which letters they show. Use text recognition (OCR) first.",
                code=NO_TEXT,
            )
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
    reader = PdfReader(io.BytesIO(data), strict=False)
    _unlock(reader)
    count = len(reader.pages)
    if count > limits.pages:
        raise UnreadableDocument(f"This PDF has {count:,} pages; at most {limits.pages:,} are read.", code=TOO_LARGE)
    sheets: list[Sheet] = []
    left_out: list[LeftOut] = []
    # Closed here: objects that an error's traceback keeps alive would hold the lock.
    with contextlib.closing(_page_texts(data, limits)) as texts:
        for (number, text), page in zip(enumerate(texts, start=1), reader.pages, strict=False):
            overlays, unread = read_annotations(page, number)
            lay_over(text, overlays)
            sheet = Sheet(number, text.frame.height, unfold_columns(build_rows(text.fragments)))
            sheets.append(sheet)
            left_out.extend(unread)
            left_out.extend(LeftOut("illegible", font, (number,), glyphs) for font, glyphs in text.illegible.items())
            if not sheet.rows:
                left_out.append(LeftOut("page_without_text", pages=(number,)))
    left_out.extend(LeftOut("embedded", name) for name in reader.attachments)
    return _Contents(_title(reader), sheets, _outline(reader), left_out)


def _page_texts(data: bytes, limits: Limits) -> Generator[PageText]:
    deadline = time.thread_time() + limits.seconds
    with LOCK, pypdfium2.PdfDocument(data) as opened:
        for number in range(len(opened)):
            if time.thread_time() > deadline:
                raise UnreadableDocument("Reading this PDF takes longer than is allowed.", code=TOO_SLOW)
            with contextlib.closing(opened[number]) as page:
                yield read_glyphs(page.raw)


def _unlock(reader: PdfReader) -> None:
    # Most "encrypted" files only forbid printing and open with the empty password, as every viewer does.
    if reader.is_encrypted and reader.decrypt("") is PasswordType.NOT_DECRYPTED:
        raise _encrypted()


def _encrypted() -> UnreadableDocument:
    return UnreadableDocument("This PDF is protected by a password.", code=ENCRYPTED)


def _title(reader: PdfReader) -> str:
    title = one_line(str(reader.metadata.title or "")) if reader.metadata else ""
    return "" if _TEMPLATE_TITLE.fullmatch(title) else title


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
