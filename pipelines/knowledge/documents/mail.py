"""Mail (RFC 5322, MIME): the relevant headers, the text or HTML body, plain attachments; the rest is named."""

import email.policy
import re
from email import message_from_bytes
from email.message import EmailMessage
from typing import Any

from pipelines.knowledge.documents.document import Builder, Document, LeftOut
from pipelines.knowledge.documents.encodings import codec_of, decode_bytes
from pipelines.knowledge.documents.errors import CORRUPT, UnreadableDocument

MEDIA_TYPE = "message/rfc822"

_HEAD = ("From", "To", "Cc", "Date", "Subject")
_PARTS_MAX = 500
_DEEPEST = 8
_READ_ATTACHMENTS = frozenset({"text/plain", "text/markdown", "text/csv", "application/json", "text/html"})
_CITED = re.compile(r"^(?:> ?){1,20}", re.MULTILINE)


def read_mail(data: bytes, *, fallback_title: str) -> Document:
    """Read a mail. Raises `UnreadableDocument` when it has no header."""
    message = message_from_bytes(data, policy=email.policy.default)
    builder = Builder(MEDIA_TYPE)
    if not message.keys():
        raise UnreadableDocument("This mail has no head and cannot be read.", code=CORRUPT)
    _Reader(builder).read(message, 0)
    return builder.build(fallback_title=fallback_title)


class _Reader:
    """Walks the parts of a mail, and of the mails within it."""

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._parts = 0

    def read(self, message: EmailMessage, depth: int) -> None:
        subject = _header(message, "Subject")
        if not depth:
            self._builder.title = subject
        lines = [f"{name}: {value}" for name in _HEAD if (value := _header(message, name))]
        self._builder.paragraph("\n".join(lines))
        self._part(message, depth)

    def _part(self, part: EmailMessage, depth: int) -> None:
        self._parts += 1
        kind = part.get_content_type()
        if self._parts > _PARTS_MAX or depth > _DEEPEST:
            self._builder.leave_out(LeftOut("embedded", _filename(part) or kind))
        elif kind == "message/rfc822":
            for inner in _children(part):
                self._builder.heading(f"Attached mail: {_header(inner, 'Subject')}", 2)
                self.read(inner, depth + 1)
        elif kind == "multipart/alternative":
            self._alternative(_children(part), depth)
        elif part.is_multipart():
            for inner in _children(part):
                self._part(inner, depth + 1)
        elif part.get_content_disposition() == "attachment" or kind not in {"text/plain", "text/html"}:
            self._attachment(part, kind)
        else:
            self._body(part, kind)

    def _alternative(self, parts: list[EmailMessage], depth: int) -> None:
        """One of the alternatives, text rather than HTML: both have the same content. An empty text does not count."""
        plain = [part for part in parts if part.get_content_type() == "text/plain" and _text(part).strip()]
        for part in plain[:1] or parts[-1:]:
            self._part(part, depth + 1)
        for part in parts:
            if part.get_content_type() not in {"text/plain", "text/html"} and not part.is_multipart():
                self._attachment(part, part.get_content_type())

    def _body(self, part: EmailMessage, kind: str) -> None:
        if kind == "text/html":
            self._append(_html(_payload(part), part))
            return
        for paragraph in re.split(r"\n[^\S\n]*\n", _CITED.sub("", _text(part))):
            self._builder.paragraph(paragraph)

    def _attachment(self, part: EmailMessage, kind: str) -> None:
        name = _filename(part)
        if kind not in _READ_ATTACHMENTS:
            self._builder.leave_out(LeftOut("embedded", name or kind))
            return
        from pipelines.knowledge.documents.readers import read

        try:
            inner = read(_payload(part), name=name or "attachment.txt", content_type=kind)
        except UnreadableDocument as refusal:
            self._builder.leave_out(LeftOut("embedded", f"{name or kind}: {refusal.detail}"))
            return
        self._builder.heading(f"Attachment: {name or kind}", 2)
        self._append(inner)

    def _append(self, inner: Document) -> None:
        self._builder.append(inner)


def _html(payload: bytes, part: EmailMessage) -> Document:
    from pipelines.knowledge.documents.html import read_html

    return read_html(payload, fallback_title="", declared=part.get_content_charset(), whole=True)


def _children(part: EmailMessage) -> list[EmailMessage]:
    payload: Any = part.get_payload()
    return [inner for inner in payload if isinstance(inner, EmailMessage)] if isinstance(payload, list) else []


def _payload(part: EmailMessage) -> bytes:
    payload = part.get_payload(decode=True)
    return payload if isinstance(payload, bytes) else b""


def _text(part: EmailMessage) -> str:
    payload = _payload(part)
    declared = part.get_content_charset()
    if declared and codec_of(declared) and payload:
        return decode_bytes(payload, declared=declared).text
    return decode_bytes(payload).text if payload.strip() else ""


def _header(message: EmailMessage, name: str) -> str:
    try:
        value = str(message.get(name, ""))
    except (ValueError, LookupError, IndexError, AttributeError):
        # A malformed header is shown as it is.
        value = dict(message.raw_items()).get(name, "")
    return value


def _filename(part: EmailMessage) -> str:
    try:
        return part.get_filename() or ""
    except (ValueError, LookupError, IndexError, AttributeError):
        return ""
