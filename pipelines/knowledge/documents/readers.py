"""Bytes to a `Document`, whatever the format. In this process: see `isolation` for files that nobody vouches for."""

from pathlib import PurePath

from pipelines.knowledge.documents.detect import detect
from pipelines.knowledge.documents.document import Document, one_line
from pipelines.knowledge.documents.errors import NO_TEXT, TOO_LARGE, UnreadableDocument
from pipelines.knowledge.documents.formats import Format
from pipelines.knowledge.documents.limits import DEFAULT_LIMITS, Limits


def read(data: bytes, *, name: str, content_type: str | None = None, limits: Limits = DEFAULT_LIMITS) -> Document:
    """Read one file. `name` gives the title when the file has none, and tells Markdown from text.

    Raises `UnreadableDocument` with the reason; any other exception is a defect of the reader.
    """
    found = detect(data, name, content_type, limits)
    fallback_title = one_line(PurePath(name).stem.replace("_", " ")) or "Untitled"
    document = _read_as(found, data, fallback_title, limits)
    if not any(character.isalnum() for character in document.text):
        raise UnreadableDocument("There is no text in this file.", code=NO_TEXT)
    if len(document.text) > limits.characters:
        raise UnreadableDocument(
            f"The text of this file has {len(document.text):,} characters; at most {limits.characters:,} are read.",
            code=TOO_LARGE,
        )
    return document


def _read_as(found: Format, data: bytes, fallback_title: str, limits: Limits) -> Document:
    # Each parser is imported when the first file of its kind comes.
    match found:
        case Format.PDF:
            from pipelines.knowledge.documents.pdf import read_pdf

            return read_pdf(data, fallback_title=fallback_title, limits=limits)
        case Format.DOCX:
            from pipelines.knowledge.documents.docx import read_docx

            return read_docx(data, fallback_title=fallback_title, limits=limits)
        case Format.XLSX:
            from pipelines.knowledge.documents.xlsx import read_xlsx

            return read_xlsx(data, fallback_title=fallback_title, limits=limits)
        case Format.PPTX:
            from pipelines.knowledge.documents.pptx import read_pptx

            return read_pptx(data, fallback_title=fallback_title, limits=limits)
        case Format.EMAIL:
            from pipelines.knowledge.documents.mail import read_mail

            return read_mail(data, fallback_title=fallback_title)
        case Format.CSV:
            from pipelines.knowledge.documents.delimited import read_delimited

            return read_delimited(data, fallback_title=fallback_title, limits=limits)
        case Format.JSON:
            from pipelines.knowledge.documents.json_values import read_json

            return read_json(data, fallback_title=fallback_title)
        case Format.HTML:
            from pipelines.knowledge.documents.html import read_html

            return read_html(data, fallback_title=fallback_title)
        case Format.MARKDOWN:
            from pipelines.knowledge.documents.markdown import read_markdown

            return read_markdown(data, fallback_title=fallback_title)
        case Format.TEXT:
            from pipelines.knowledge.documents.text import read_text

            return read_text(data, fallback_title=fallback_title)
