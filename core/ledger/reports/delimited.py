"""CSV by RFC 4180 (CRLF, quotes where needed), safe from evaluation as formulas by spreadsheets."""

import csv
import io
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

MEDIA_TYPE = "text/csv; charset=utf-8; header=present"

# Characters that make a spreadsheet evaluate a cell (OWASP, "CSV injection"), with the full-width forms that some fold.
_TRIGGERS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def to_csv(rows: Iterable[Sequence[Any]]) -> str:
    """Rows as CSV text. Text that a spreadsheet would evaluate is prefixed with an apostrophe; numbers never do."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerows([_cell(value) for value in row] for row in rows)
    return buffer.getvalue()


def utc_text(moment: datetime) -> str:
    """A moment to the second, in UTC: ``2026-11-01T00:00:00Z``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cell(value: Any) -> str:
    match value:
        case None:
            text = ""
        case bool():
            text = "true" if value else "false"
        case Decimal():
            text = f"{value:f}"
        case int():
            text = str(value)
        case datetime():
            text = utc_text(value)
        case date():
            text = value.isoformat()
        case _:
            text = _inert(str(value))
    return text


def _inert(text: str) -> str:
    return "'" + text if text.lstrip(" ").startswith(_TRIGGERS) else text
