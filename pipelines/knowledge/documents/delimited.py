"""CSV and its variants (RFC 4180, and the deviations of programs): detects the separator and the column names."""

import csv
import io
from collections import Counter

from pipelines.knowledge.documents.document import Builder, Document, LeftOut
from pipelines.knowledge.documents.encodings import decode_bytes
from pipelines.knowledge.documents.errors import TOO_LARGE, UnreadableDocument
from pipelines.knowledge.documents.limits import Limits
from pipelines.knowledge.documents.tables import add_table, looks_like_header

MEDIA_TYPE = "text/csv"

_SEPARATORS = (",", ";", "\t", "|")
_SAMPLE_CHARACTERS = 65536
_SAMPLE_ROWS = 200
_FIELD_MAX = 1_000_000


def read_delimited(data: bytes, *, fallback_title: str, limits: Limits) -> Document:
    """Read a table of text. Its first row names the columns unless it looks like all others.

    Raises `UnreadableDocument` when it has more cells than the limit.
    """
    decoded = decode_bytes(data)
    text = decoded.text
    builder = Builder(MEDIA_TYPE)
    first, _, rest = text.partition("\n")
    separator = ""
    if first.lower().startswith("sep=") and len(first.strip()) == len("sep=;"):
        # Excel's own line that names the separator.
        separator, text = first.strip()[-1], rest
    rows = _rows(text, separator or _separator(text), limits)
    while rows and not any(rows[0]):
        rows.pop(0)
    # A line or two above the table are its title.
    width = Counter(len(row) for row in rows[:_SAMPLE_ROWS]).most_common(1)[0][0] if rows else 0
    while len(rows) > 1 and width > 1 and len([cell for cell in rows[0] if cell]) == 1:
        builder.paragraph(" ".join(rows.pop(0)))
    named = bool(rows) and looks_like_header(rows[0], rows[1:])
    add_table(builder, rows[:1] if named else [], rows[1:] if named else rows)
    if decoded.damaged:
        builder.leave_out(LeftOut("illegible", count=decoded.damaged))
    return builder.build(fallback_title=fallback_title)


def _rows(text: str, separator: str, limits: Limits) -> list[list[str]]:
    csv.field_size_limit(_FIELD_MAX)
    rows: list[list[str]] = []
    cells = 0
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator):
            cells += len(row)
            if cells > limits.cells:
                detail = f"This table has more than {limits.cells:,} cells, which is more than are read."
                raise UnreadableDocument(detail, code=TOO_LARGE)
            if any(cell.strip() for cell in row):
                rows.append([cell.strip() for cell in row])
    except csv.Error:
        # A quotation mark that is never closed: quotation marks then have no meaning.
        return [line.split(separator) for line in text.split("\n") if line.strip()]
    return rows


def _separator(text: str) -> str:
    """The separator that divides the first rows most evenly; a comma when none does."""
    sample = text[:_SAMPLE_CHARACTERS]
    if len(text) > _SAMPLE_CHARACTERS:
        sample = sample.rpartition("\n")[0] or sample

    def fit(separator: str) -> tuple[float, int]:
        try:
            reader = csv.reader(io.StringIO(sample, newline=""), delimiter=separator)
            rows = [row for row, _ in zip(reader, range(_SAMPLE_ROWS), strict=False) if row]
        except csv.Error:
            return 0.0, 0
        widths = Counter(len(row) for row in rows if any(row))
        if not widths:
            return 0.0, 0
        width, times = max(widths.items(), key=lambda item: (item[1], item[0]))
        return (times / sum(widths.values()) if width > 1 else 0.0), width

    return max(_SEPARATORS, key=fit)
