"""The formats that are read: the single list for the reader, the API, the command line and the documentation."""

from enum import StrEnum

_OPEN_XML = "application/vnd.openxmlformats-officedocument"
_MACROS = "application/vnd.ms"


class Format(StrEnum):
    """The formats that are read."""

    PDF = "pdf"
    DOCX = "docx"
    XLSX = "xlsx"
    PPTX = "pptx"
    HTML = "html"
    EMAIL = "email"
    CSV = "csv"
    JSON = "json"
    MARKDOWN = "markdown"
    TEXT = "text"


# By the end of a file's name: its format and its media type.
SUFFIXES = {
    ".pdf": (Format.PDF, "application/pdf"),
    ".docx": (Format.DOCX, f"{_OPEN_XML}.wordprocessingml.document"),
    ".docm": (Format.DOCX, f"{_MACROS}-word.document.macroEnabled.12"),
    ".dotx": (Format.DOCX, f"{_OPEN_XML}.wordprocessingml.template"),
    ".dotm": (Format.DOCX, f"{_MACROS}-word.template.macroEnabled.12"),
    ".xlsx": (Format.XLSX, f"{_OPEN_XML}.spreadsheetml.sheet"),
    ".xlsm": (Format.XLSX, f"{_MACROS}-excel.sheet.macroEnabled.12"),
    ".xltx": (Format.XLSX, f"{_OPEN_XML}.spreadsheetml.template"),
    ".xltm": (Format.XLSX, f"{_MACROS}-excel.template.macroEnabled.12"),
    ".pptx": (Format.PPTX, f"{_OPEN_XML}.presentationml.presentation"),
    ".pptm": (Format.PPTX, f"{_MACROS}-powerpoint.presentation.macroEnabled.12"),
    ".potx": (Format.PPTX, f"{_OPEN_XML}.presentationml.template"),
    ".ppsx": (Format.PPTX, f"{_OPEN_XML}.presentationml.slideshow"),
    ".html": (Format.HTML, "text/html"),
    ".htm": (Format.HTML, "text/html"),
    ".xhtml": (Format.HTML, "application/xhtml+xml"),
    ".eml": (Format.EMAIL, "message/rfc822"),
    ".csv": (Format.CSV, "text/csv"),
    ".tsv": (Format.CSV, "text/tab-separated-values"),
    ".json": (Format.JSON, "application/json"),
    ".jsonl": (Format.JSON, "application/jsonl"),
    ".ndjson": (Format.JSON, "application/x-ndjson"),
    ".md": (Format.MARKDOWN, "text/markdown"),
    ".markdown": (Format.MARKDOWN, "text/markdown"),
    ".mdown": (Format.MARKDOWN, "text/markdown"),
    ".mkd": (Format.MARKDOWN, "text/markdown"),
    ".txt": (Format.TEXT, "text/plain"),
    ".text": (Format.TEXT, "text/plain"),
}  # fmt: skip
MEDIA_TYPES = {
    "text/x-markdown": Format.MARKDOWN,
    "application/csv": Format.CSV,
    **{media_type: found for found, media_type in SUFFIXES.values()},
}
# In a sentence, for people.
READ_FORMATS = (
    "PDF, Word (.docx), Excel (.xlsx), PowerPoint (.pptx), HTML, mail (.eml), CSV, JSON, Markdown and plain text"
)
