"""Detects a file's format by its first bytes; its name only decides between kinds of text."""

import re
from pathlib import PurePath

from pipelines.knowledge.documents.errors import CORRUPT, EMPTY, ENCRYPTED, TOO_LARGE, UNSUPPORTED, UnreadableDocument
from pipelines.knowledge.documents.formats import MEDIA_TYPES, READ_FORMATS, SUFFIXES, Format
from pipelines.knowledge.documents.limits import Limits
from pipelines.knowledge.documents.packages import package_format

_BINARIES = {
    Format.PDF: "a PDF",
    Format.DOCX: "a Word document",
    Format.XLSX: "an Excel workbook",
    Format.PPTX: "a PowerPoint presentation",
}
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*|<!--(?:(?!-->).)*-->\s*)*<(?:!doctype\s+html|html|head|body)\b",
    re.IGNORECASE | re.DOTALL,
)
# A fragment of a page; Markdown may start so too.
_HTML_PART = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:table|div|p|h1|ul|ol|section|article)\b[^<>]*>", re.IGNORECASE)
# Two lines of a mail's header, of which one is of these, make a mail; a text may start with one of them.
_MAIL_LINE = re.compile(rb"(?:[\w-]{1,60}:[ \t][^\r\n]{0,998}(?:\r?\n[ \t][^\r\n]{0,998}){0,50}\r?\n){2,}")
_MAIL_SURE = re.compile(
    rb"^(?:MIME-Version|Message-ID|Received|Return-Path|Content-Transfer-Encoding):", re.IGNORECASE | re.MULTILINE
)
_PDF_HEADER_WITHIN = 1024
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED_PACKAGE = "EncryptedPackage".encode("utf-16-le")
_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_KNOWN_BINARIES = (
    (b"\x89PNG", "a picture"), (b"\xff\xd8\xff", "a picture"), (b"GIF8", "a picture"), (b"II*\x00", "a picture"),
    (b"MM\x00*", "a picture"), (b"RIFF", "a media file"), (b"ID3", "a sound file"), (b"\x7fELF", "a program"),
    (b"MZ\x90\x00", "a program"), (b"\x1f\x8b", "a compressed archive"), (b"7z\xbc\xaf", "a compressed archive"),
    (b"Rar!", "a compressed archive"), (b"{\\rtf", "a Rich Text file"), (b"%!PS", "a PostScript file"),
)  # fmt: skip


def detect(data: bytes, name: str, content_type: str | None, limits: Limits) -> Format:
    """The format of `data`. `content_type` is the uploader's claim, and not trusted.

    Raises `UnreadableDocument`: empty, too large, encrypted, unsupported, or not what its name says.
    """
    if not data.strip():
        raise UnreadableDocument("The file is empty.", code=EMPTY)
    if len(data) > limits.size_bytes:
        raise UnreadableDocument(f"The file is larger than {limits.size_bytes // 2**20} MiB.", code=TOO_LARGE)
    suffix = PurePath(name).suffix.lower()
    media_type = (content_type or "").partition(";")[0].strip().lower()
    claimed = SUFFIXES[suffix][0] if suffix in SUFFIXES else MEDIA_TYPES.get(media_type, Format.TEXT)
    if data.startswith(_ZIP):
        return package_format(data)
    if b"%PDF-" in data[:_PDF_HEADER_WITHIN]:
        return Format.PDF
    if data.startswith(_OLE):
        raise _old_office(data)
    for start, what in _KNOWN_BINARIES:
        if data.startswith(start):
            raise UnreadableDocument(f"This is {what}, which is not read. Send {READ_FORMATS}.", code=UNSUPPORTED)
    if claimed in _BINARIES:
        detail = f"The file is named like {_BINARIES[claimed]}, but its content is not one."
        raise UnreadableDocument(detail, code=CORRUPT)
    return _of_text(data, claimed)


def _of_text(data: bytes, claimed: Format) -> Format:
    head = data[:65536]
    if claimed is not Format.EMAIL and _HTML_START.match(head[:4096]):
        return Format.HTML
    if claimed is Format.TEXT and _HTML_PART.match(head):
        return Format.HTML
    if claimed is Format.TEXT and _looks_like_mail(head):
        return Format.EMAIL
    if claimed is Format.TEXT and head.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in {b"{", b"["} and _is_json(data):
        return Format.JSON
    return claimed


def _looks_like_mail(head: bytes) -> bool:
    lines = _MAIL_LINE.match(head)
    if lines is None or _MAIL_SURE.search(lines.group()) is None:
        return False
    return re.search(rb"^(?:From|To|Subject|Received|Date):", lines.group(), re.IGNORECASE | re.MULTILINE) is not None


def _is_json(data: bytes) -> bool:
    from pipelines.knowledge.documents.json_values import parses

    return parses(data)


def _old_office(data: bytes) -> UnreadableDocument:
    # Office wraps a document with a password into the container format of its older versions (MS-OFFCRYPTO, 2.2).
    if _ENCRYPTED_PACKAGE in data:
        return UnreadableDocument("This document is protected by a password.", code=ENCRYPTED)
    return UnreadableDocument(
        "This file is of an old Office format. Save it as .docx, .xlsx, .pptx or PDF and send it again.",
        code=UNSUPPORTED,
    )
