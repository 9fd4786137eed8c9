"""The lines that agents answer with. Other lines are ignored: a model's chatter must not end a job."""

import re
from collections.abc import Sequence

from pipelines._kit.quotes import find_quote
from pipelines.research.state import Found, Note

NOTHING = "NONE"
_QUOTED = re.compile(r"^\W*\[(?P<number>\d+)\]\s*(?:[:\-]\s*)?(?P<quote>\S.*)$")
_BULLET = re.compile(r"^[-*\u2022]\s+")
_ORDER = re.compile(r"^\W*(?:section\s+)?(?P<section>\d+)\s*:(?P<notes>[\d\s,;]*)$", re.IGNORECASE)
_OBJECTION = re.compile(r"^\W*(?:claim\s+)?(?P<section>\d+)\.(?P<claim>\d+)\s*[:\-]\s*(?P<reason>\S.*)$", re.IGNORECASE)
_REASON_MAX_CHARACTERS = 300
_MARKS = "\"'\u201c\u201d\u201e\u00ab\u00bb "


def write_quote(number: int, quote: str) -> str:
    """A researcher's line."""
    return f'[{number}] "{" ".join(quote.split())}"'


def read_quotes(text: str, part: int, sources: Sequence[Found], allowed: Sequence[int]) -> list[Note]:
    """The quotes found word for word in a source: in the one that the line names, or else in another allowed one.

    Source numbers count from 1. Each quote is taken once.
    """
    notes: list[Note] = []
    for line in text.splitlines():
        match = _QUOTED.match(line)
        if not match:
            continue
        named = int(match["number"])
        # An item of a list is quoted without its bullet.
        quote = _BULLET.sub("", match["quote"].strip(_MARKS))
        for number in sorted(allowed, key=lambda number: number != named):
            span = find_quote(sources[number - 1]["text"], quote)
            if span is not None:
                note: Note = {"part": part, "source": number, "start": span.start, "end": span.end}
                if note not in notes:
                    notes.append(note)
                break
    return notes


def write_order(order: Sequence[Sequence[int]]) -> str:
    """An analyst's lines. `order` are note numbers from 0, by section; the lines count from 1."""
    return "\n".join(
        f"{section}: {', '.join(str(note + 1) for note in notes)}" for section, notes in enumerate(order, start=1)
    )


def read_order(text: str, notes: Sequence[Note], sections: int) -> list[list[int]]:
    """Note numbers from 0, by section. A section without a line keeps the notes that were taken for it."""
    given: dict[int, list[int]] = {}
    for line in text.splitlines():
        match = _ORDER.match(line)
        if match and 1 <= int(match["section"]) <= sections:
            numbers = [int(number) - 1 for number in re.findall(r"\d+", match["notes"])]
            given.setdefault(int(match["section"]) - 1, []).extend(number for number in numbers if number >= 0)
    order: list[list[int]] = []
    used: set[int] = set()
    for section in range(sections):
        own = [number for number, note in enumerate(notes) if note["part"] == section]
        wanted = [number for number in given.get(section, own) if number < len(notes)]
        order.append([number for number in dict.fromkeys(wanted) if number not in used])
        used.update(order[-1])
    return order


def write_objection(section: int, claim: int, reason: str) -> str:
    """A reviewer's line; section and claim count from 0."""
    return f"{section + 1}.{claim + 1}: {reason}"


def read_objections(text: str) -> dict[tuple[int, int], str]:
    """Reasons by (section, claim), both from 0; of two for the same claim the first counts."""
    found: dict[tuple[int, int], str] = {}
    for line in text.splitlines():
        match = _OBJECTION.match(line)
        if match and int(match["section"]) > 0 and int(match["claim"]) > 0:
            place = int(match["section"]) - 1, int(match["claim"]) - 1
            found.setdefault(place, match["reason"][:_REASON_MAX_CHARACTERS])
    return found
