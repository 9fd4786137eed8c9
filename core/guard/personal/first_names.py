"""Names of persons by a common first name, for those that the language model misses.

The list is that of the United States Census Bureau of 1990, in the package `names` (MIT).
"""

from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

from core.guard.personal.candidates import Candidate, is_bounded
from core.guard.personal.names import NOT_NAMES
from core.guard.records import EntityKind
from core.kit.expressions import Expression

_PART = r"\p{L}[\p{L}'\x{2019}\-]+"
_WORD = Expression(_PART)
_SURNAME = Expression(
    r"^(?:[ \t]\p{Lu}\.)?[ \t](?:(?:van der|van den|van de|van|von|de la|de|der|del|di|da|al|el|bin)[ \t])?"
    r"(\p{Lu}[\p{L}'\x{2019}\-]+)"
)
_LENGTH_MIN, _SMALL_LENGTH_MIN = 4, 5
_SURNAME_LENGTH_MAX = 60
_CONFIDENT, _HINT = 0.65, 0.55
# First names that are also words, months, places or brands.
_AMBIGUOUS = frozenset(Path(__file__).with_name("ambiguous_first_names.txt").read_text("utf-8").split())
_NOT_BEHIND = frozenset(
    {
        "street",
        "avenue",
        "road",
        "lane",
        "boulevard",
        "drive",
        "court",
        "square",
        "place",
        "way",
        "park",
        "inc",
        "ltd",
        "llc",
        "gmbh",
        "corp",
        "company",
        "co",
        "group",
        "university",
        "college",
        "school",
        "hospital",
        "church",
        "bank",
        "day",
        "county",
        "city",
        "island",
        "river",
        "lake",
        "airport",
        "hotel",
        "st",
        "ave",
        "rd",
        "&",
        "records",
        "award",
    }
)


def find_first_names(text: str) -> Iterator[Candidate]:
    """A common first name with the surname after it; a first name only where it is written as names are."""
    known = _first_names()
    has_capitals = any(map(str.isupper, text))
    reached = 0
    for match in _WORD.matches_in(text):
        start, end = match.start(), match.end()
        word = text[start:end].removesuffix("'s").removesuffix("\u2019s")
        end = start + len(word)
        if start < reached or word.lower() not in known or not is_bounded(text, start, end):
            continue
        if has_capitals and not word[0].isupper():
            continue
        if not has_capitals and len(word) < _SMALL_LENGTH_MIN:
            continue
        score = _HINT
        for surname in _surnames(text[end : end + _SURNAME_LENGTH_MAX]):
            if surname is None:
                end = start
                break
            end += surname
            score = _CONFIDENT
        if end > start:
            reached = end
            yield Candidate(EntityKind.PERSON, start, end, score, "first_name")


def _surnames(rest: str) -> Iterator[int | None]:
    """The lengths of up to two surnames at the start of `rest`; None where they show that it is not a person."""
    position = 0
    for _ in range(2):
        match = _SURNAME.match_at_start(rest[position:])
        if match is None:
            return
        surname = rest[position + match.start(1) : position + match.end(1)]
        if surname.lower() in _NOT_BEHIND:
            yield None
            return
        if surname.lower() in NOT_NAMES:
            return
        length = match.start(1) + len(surname.removesuffix("'s").removesuffix("\u2019s"))
        yield length
        if length < match.end(1):
            return
        position += length


@cache
def _first_names() -> frozenset[str]:
    found: set[str] = set()
    for part in ("dist.female.first", "dist.male.first"):
        lines = files("names").joinpath(part).read_text("ascii").splitlines()
        found.update(line.split()[0].lower() for line in lines if line)
    return frozenset(name for name in found if len(name) >= _LENGTH_MIN) - _AMBIGUOUS - NOT_NAMES
