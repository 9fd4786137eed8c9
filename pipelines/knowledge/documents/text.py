"""Plain text: paragraphs between empty lines, hard-wrapped lines joined, headings where they are unmistakable."""

import re

from pipelines.knowledge.documents.document import Builder, Document, LeftOut
from pipelines.knowledge.documents.encodings import decode_bytes

MEDIA_TYPE = "text/plain"

_UNDERLINE = re.compile(r"([=\-~*_#])\1{3,}\s*$")
_NUMBER = re.compile(r"(\d{1,2}(?:\.\d{1,2}){0,3})\.?\s")
_ITEM = re.compile(r"\s*(?:[-*\u2022]|\(?(?:\d{1,3}|[a-z])[.)])\s+\S")
_COLUMNS = re.compile(r"\S(?: {3,}|\t)\S")
_HEADING_MAX_CHARACTERS = 100
_HEADING_MIN_LETTERS = 3
# A line this full was ended by the margin, and the sentence continues in the next.
_FULL = 0.7
_WIDEST_WRAPPED = 120


def read_text(data: bytes, *, fallback_title: str) -> Document:
    """Read plain text. Headings are underlined lines, and lines in capitals that start a paragraph."""
    builder = Builder(MEDIA_TYPE)
    decoded = decode_bytes(data)
    if decoded.damaged:
        builder.leave_out(LeftOut("illegible", count=decoded.damaged))
    lines = decoded.text.expandtabs(8).split("\n")
    width = min(max((len(line.rstrip()) for line in lines), default=0), _WIDEST_WRAPPED)
    paragraph: list[str] = []

    def flush() -> None:
        builder.paragraph("\n".join(paragraph))
        paragraph.clear()

    for number, line in enumerate(lines):
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if not line.strip() or _UNDERLINE.match(line.strip()):
            flush()
        elif _is_heading(line, following, begins_paragraph=not paragraph):
            flush()
            builder.heading(line, _level(line, underlined=bool(_UNDERLINE.match(following.strip()))))
        elif paragraph and _goes_on(paragraph[-1], lines[number - 1], line, width):
            paragraph[-1] = f"{paragraph[-1]} {line.strip()}"
        else:
            paragraph.append(line)
    flush()
    return builder.build(fallback_title=fallback_title)


def _is_heading(line: str, following: str, *, begins_paragraph: bool) -> bool:
    text = line.strip()
    if len(text) > _HEADING_MAX_CHARACTERS or not begins_paragraph:
        return False
    if _UNDERLINE.match(following.strip()):
        return True
    letters = [character for character in text if character.isalpha()]
    return len(letters) >= _HEADING_MIN_LETTERS and text.upper() == text and text[-1] not in ".,;:"


def _level(line: str, *, underlined: bool) -> int:
    number = _NUMBER.match(line.strip())
    return 1 if underlined and not number else 2 + (number.group(1).count(".") if number else 0)


def _goes_on(sentence: str, previous: str, line: str, width: int) -> bool:
    if _ITEM.match(line) or _COLUMNS.search(line.strip()) or _COLUMNS.search(previous.strip()):
        return False
    return len(previous.rstrip()) >= width * _FULL or (bool(_ITEM.match(sentence)) and line.strip()[0].islower())
