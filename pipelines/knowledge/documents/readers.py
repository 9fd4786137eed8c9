"""Reads bytes of any format into a `Document`, in this process: see `isolation` for untrusted files."""

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import PurePath

from pipelines.knowledge.documents.detect import detect
from pipelines.knowledge.documents.document import Document, LeftOut, one_line
from pipelines.knowledge.documents.errors import NO_TEXT, TOO_LARGE, UnreadableDocument
from pipelines.knowledge.documents.formats import Format
from pipelines.knowledge.documents.limits import DEFAULT_LIMITS, Limits
from pipelines.knowledge.documents.packages import has_macros


def read(data: bytes, *, name: str, content_type: str | None = None, limits: Limits = DEFAULT_LIMITS) -> Document:
    """Read one file. `name` gives the title when the file has none, and distinguishes Markdown from text.

    Raises `UnreadableDocument` with the reason; any other exception is a defect of the reader.
    """
    found = detect(data, name, content_type, limits)
    fallback_title = one_line(PurePath(name).stem.replace("_", " ")) or "Untitled"
    document = _read_as(found, data, fallback_title, limits)
    if found in _PACKAGES and has_macros(data):
        document = replace(document, left_out=(*document.left_out, LeftOut("macros")))
    if not any(character.isalnum() for character in document.text):
        raise UnreadableDocument("There is no text in this file.", code=NO_TEXT)
    if len(document.text) > limits.characters:
        raise UnreadableDocument(
            f"The text of this file has {len(document.text):,} characters; at most {limits.characters:,} are read.",
            code=TOO_LARGE,
        )
    return document


_PACKAGES = frozenset({Format.DOCX, Format.XLSX, Format.PPTX})
# By format: the module and the function that reads it, and whether it has bounds of its own. Each parser is imported
# when the first file of its kind is read.
_READERS = {
    Format.PDF: ("pdf", "read_pdf", True),
    Format.DOCX: ("docx", "read_docx", True),
    Format.XLSX: ("xlsx", "read_xlsx", True),
    Format.PPTX: ("pptx", "read_pptx", True),
    Format.CSV: ("delimited", "read_delimited", True),
    Format.EMAIL: ("mail", "read_mail", False),
    Format.JSON: ("json_values", "read_json", False),
    Format.HTML: ("html", "read_html", False),
    Format.MARKDOWN: ("markdown", "read_markdown", False),
    Format.TEXT: ("text", "read_text", False),
}


def _read_as(found: Format, data: bytes, fallback_title: str, limits: Limits) -> Document:
    module, function, is_bounded = _READERS[found]
    read_it: Callable[..., Document] = getattr(import_module(f"pipelines.knowledge.documents.{module}"), function)
    if is_bounded:
        return read_it(data, fallback_title=fallback_title, limits=limits)
    return read_it(data, fallback_title=fallback_title)
