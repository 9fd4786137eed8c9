"""Detects a file's kind by its bytes alone; a file of two kinds at once is refused.

file_empty         nothing in it                          file_encrypted     a PDF that wants a password
file_unsupported   a type that is not read                file_wrong_type    not what its media type claims
file_polyglot      another format hidden in it            file_too_large     bytes, pixels, pages or seconds
file_corrupt       damaged or truncated                   file_too_slow      reading takes too long
"""

from enum import StrEnum
from pathlib import Path
from typing import NoReturn

from core.kit.errors import CapabilityFailure
from pipelines.multimodal.files.limits import FILE_BYTES


class Kind(StrEnum):
    """The kinds of files that are read."""

    IMAGE = "image"
    PDF = "pdf"
    AUDIO = "audio"


_HEAD = 4096
_PNG = b"\x89PNG\r\n\x1a\n"
_JPEG = b"\xff\xd8\xff"
_FOREIGN = (b"%PDF-", b"PK\x03\x04", b"PK\x05\x06", b"<script", b"<html", b"<!DOCTYPE", b"\x7fELF", b"Rar!\x1a")
_SEND = "Send PNG, JPEG or WebP images, PDF, or WAV, MP3, FLAC, Ogg or M4A audio."


def refuse(detail: str, remedy: str, *, code: str) -> NoReturn:
    """Raise the `CapabilityFailure` of a file. Final: the same bytes fail again."""
    raise CapabilityFailure(f"{detail} {remedy} (Input field: files.)", code=code)


def detect(path: Path, content_type: str) -> Kind:
    """The kind of the file at `path`. Raises `CapabilityFailure` with a code of this module's docstring."""
    size = path.stat().st_size
    if size == 0:
        refuse("The file is empty.", "Upload it again.", code="file_empty")
    if size > FILE_BYTES:
        refuse(f"The file is larger than {FILE_BYTES // 2**20} MiB.", "Split it.", code="file_too_large")
    data = path.read_bytes()
    kind = _kind(data[:_HEAD])
    _agree(kind, content_type)
    _refuse_polyglot(kind, data)
    return kind


def _kind(head: bytes) -> Kind:
    if head.startswith((_PNG, _JPEG)) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP"):
        return Kind.IMAGE
    if head.startswith(b"%PDF-"):
        return Kind.PDF
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return Kind.AUDIO
    if head.startswith((b"ID3", b"fLaC", b"OggS")) or head[4:8] == b"ftyp" or _is_mp3(head):
        return Kind.AUDIO
    if b"%PDF-" in head[:1024]:
        refuse(
            "Something stands before the beginning of this PDF.",
            "Export it again as a plain PDF.",
            code="file_polyglot",
        )
    refuse("This type of file is not read.", _SEND, code="file_unsupported")


def _is_mp3(head: bytes) -> bool:
    return len(head) > 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 != 0  # noqa: PLR2004


def _agree(kind: Kind, content_type: str) -> None:
    claimed = content_type.partition(";")[0].strip().lower()
    family = claimed.partition("/")[0]
    means = {"image": Kind.IMAGE, "audio": Kind.AUDIO}.get(family)
    if claimed == "application/pdf":
        means = Kind.PDF
    if family in {"text", "video"} and claimed != "video/mp4":
        refuse(f"The file is declared as {claimed}, and its content is {kind}.", _SEND, code="file_wrong_type")
    if means is not None and means is not kind:
        refuse(
            f"The file is declared as {claimed}, and its content is {kind}.",
            "Upload it with its own media type.",
            code="file_wrong_type",
        )


def _refuse_polyglot(kind: Kind, data: bytes) -> None:
    """Refuse another format after the end of the first; inside it, compressed data may look like anything."""
    if kind is Kind.AUDIO:
        return
    if kind is Kind.PDF:
        rest = data[data.rfind(b"%%EOF") + 5 :] if b"%%EOF" in data else b""
    elif data.startswith(_PNG):
        rest = data[_end_of_png(data) :]
    elif data.startswith(_JPEG):
        rest = data[data.rfind(b"\xff\xd9") + 2 :] if b"\xff\xd9" in data else b""
        if any(mark in data[:1024] or mark in rest for mark in _FOREIGN):
            rest = rest or b"%PDF-"
    else:
        rest = data[8 + int.from_bytes(data[4:8], "little") :]
    first = data[:1024] if kind is Kind.IMAGE else b""
    if any(mark in rest or mark in first for mark in _FOREIGN):
        refuse(
            f"Another format is hidden in this {kind}.",
            "Save it again with a program that shows it.",
            code="file_polyglot",
        )


def _end_of_png(data: bytes) -> int:
    position = len(_PNG)
    while position + 8 <= len(data):
        length, name = int.from_bytes(data[position : position + 4]), data[position + 4 : position + 8]
        position += 12 + length
        if name == b"IEND":
            return position
    return len(data)
