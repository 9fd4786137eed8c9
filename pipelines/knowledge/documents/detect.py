"""What a file is, by its first bytes; its name only decides between kinds of text."""

import io
import re
import zipfile
from enum import StrEnum
from pathlib import PurePath

from pipelines.knowledge.documents.errors import (
    CORRUPT,
    EMPTY,
    ENCRYPTED,
    TOO_LARGE,
    UNSUPPORTED,
    UnreadableDocument,
)
from pipelines.knowledge.documents.limits import Limits


class Format(StrEnum):
    """The formats that are read."""

    PDF = "pdf"
    DOCX = "docx"
    HTML = "html"
    MARKDOWN = "markdown"
    TEXT = "text"


_BINARY_NAMES = {".pdf": "a PDF", ".docx": "a Word document"}
_BINARY_TYPES = {
    "application/pdf": "a PDF",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "a Word document",
}
_HTML_NAMES = frozenset({".html", ".htm", ".xhtml"})
_MARKDOWN_NAMES = frozenset({".md", ".markdown", ".mdown", ".mkd"})
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*|<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
_PDF_HEADER_WITHIN = 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_READ = "Send PDF, Word (.docx), HTML, Markdown or plain text."
_KNOWN_BINARIES = (
    (b"\x89PNG", "a picture"), (b"\xff\xd8\xff", "a picture"), (b"GIF8", "a picture"), (b"II*\x00", "a picture"),
    (b"MM\x00*", "a picture"), (b"RIFF", "a media file"), (b"ID3", "a sound file"), (b"\x7fELF", "a program"),
    (b"MZ", "a program"), (b"\x1f\x8b", "a compressed archive"), (b"7z\xbc\xaf", "a compressed archive"),
    (b"Rar!", "a compressed archive"), (b"{\\rtf", "a Rich Text file"), (b"%!PS", "a PostScript file"),
)  # fmt: skip


def detect(data: bytes, name: str, content_type: str | None, limits: Limits) -> Format:
    """The format of `data`. `content_type` is what the uploader claims, without trust.

    Raises `UnreadableDocument`: empty, too large, encrypted, unsupported, or not what its name says.
    """
    if not data.strip():
        raise UnreadableDocument("The file is empty.", code=EMPTY)
    if len(data) > limits.size_bytes:
        raise UnreadableDocument(f"The file is larger than {limits.size_bytes // 2**20} MiB.", code=TOO_LARGE)
    if b"%PDF-" in data[:_PDF_HEADER_WITHIN]:
        return Format.PDF
    if data.startswith(_ZIP):
        return _of_archive(data)
    if data.startswith(_OLE):
        raise _old_office(data)
    for start, what in _KNOWN_BINARIES:
        if data.startswith(start):
            raise UnreadableDocument(f"This is {what}, which is not read. {_READ}", code=UNSUPPORTED)
    suffix = PurePath(name).suffix.lower()
    media_type = (content_type or "").partition(";")[0].strip().lower()
    claimed = _BINARY_NAMES.get(suffix) or _BINARY_TYPES.get(media_type)
    if claimed:
        raise UnreadableDocument(f"The file is named like {claimed}, but its content is not one.", code=CORRUPT)
    return _of_text(data, suffix, media_type)


def _of_text(data: bytes, suffix: str, media_type: str) -> Format:
    if _HTML_START.match(data[:4096]) or suffix in _HTML_NAMES or media_type in {"text/html", "application/xhtml+xml"}:
        return Format.HTML
    if suffix in _MARKDOWN_NAMES or media_type in {"text/markdown", "text/x-markdown"}:
        return Format.MARKDOWN
    return Format.TEXT


def _of_archive(data: bytes) -> Format:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise UnreadableDocument("This Word document is damaged and cannot be opened.", code=CORRUPT) from error
    if "word/document.xml" in names or ("[Content_Types].xml" in names and any(n.startswith("word/") for n in names)):
        return Format.DOCX
    kinds = (("xl/", "a spreadsheet"), ("ppt/", "a presentation"), ("mimetype", "an OpenDocument or EPUB file"))
    what = next((kind for start, kind in kinds if any(n.startswith(start) for n in names)), "an archive")
    raise UnreadableDocument(f"This is {what}, which is not read. {_READ}", code=UNSUPPORTED)


def _old_office(data: bytes) -> UnreadableDocument:
    # Word wraps a document with a password into the container format of its older versions (MS-OFFCRYPTO, 2.2).
    if _ENCRYPTED_PACKAGE in data:
        return UnreadableDocument("This document is protected by a password.", code=ENCRYPTED)
    return UnreadableDocument(
        "This file is of an old Office format. Save it as .docx or PDF and send it again.", code=UNSUPPORTED
    )
