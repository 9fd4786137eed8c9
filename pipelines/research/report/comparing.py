"""The answer to a comparing question as a table: one row per aspect, one column per thing compared."""

from collections.abc import Sequence

from core.gateway.extraction.words import content_words
from pipelines.research.planning.wording import compared_sides
from pipelines.research.report.rows import Grid
from pipelines.research.schemas import Claim, Section

_NOTHING = "not found"


def compared(question: str, sections: Sequence[Section]) -> Grid | None:
    """The first claim of each section for each side; None when nothing is compared, or nothing was found for it."""
    sides = compared_sides(question)
    if not sides:
        return None
    marks = _marks(sides)
    rows = []
    for section in sections:
        _, has_aspect, aspect = section.heading.partition(": ")
        found = [_first(section, words, marks) for words in marks]
        if not has_aspect or not any(found):
            continue
        cells = (aspect[:1].upper() + aspect[1:], *(_NOTHING if claim is None else shown(claim) for claim in found))
        rows.append((cells, tuple(sorted({number for claim in found if claim for number in claim.sources}))))
    return Grid(("", *(side[:1].upper() + side[1:] for side in sides)), tuple(rows)) if rows else None


def shown(claim: Claim) -> str:
    """A claim as a reader sees it: a row of a table with its heads, anything else unchanged."""
    return claim.reading or claim.text


def _marks(sides: Sequence[str]) -> list[frozenset[str]]:
    """The words by which each side is recognized. Of "standard and express delivery", "delivery" belongs to both."""
    words = [content_words(side) for side in sides]
    least = min(map(len, words))
    longest = max(words, key=len)
    shared = set.intersection(*map(set, words)) | set(longest[least:] if least else ())
    return [frozenset(set(each) - shared or each) for each in words]


def _first(section: Section, words: frozenset[str], marks: Sequence[frozenset[str]]) -> Claim | None:
    """The first claim about this side, preferably about no other."""
    others = frozenset().union(*(each for each in marks if each != words))
    speaking = [claim for claim in section.claims if words & set(content_words(shown(claim)))]
    alone = [claim for claim in speaking if not others & set(content_words(shown(claim)))]
    return next(iter(alone or speaking), None)
