"""Questions that compare two things: an answer has to cover both."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from core.gateway.extraction.evidence import Unit
from core.gateway.extraction.terms import question_terms, terms_of

_COMPARING = re.compile(
    r"\b(?:more|less|fewer|better|worse|cheaper|dearer|faster|slower|sooner|earlier|later|higher|lower|larger|bigger|"
    r"smaller|greater|longer|shorter|heavier|lighter|wider|thicker|deeper|older|newer|younger|warmer|colder|stronger|"
    r"louder|quieter|nearer|closer|further|easier|safer)\b",
    re.IGNORECASE,
)
# "More than 20 kg" is not a comparison with another thing.
_LIMIT = re.compile(r"\s{0,3}(?:[A-Z]{3} |[\u20ac$\u00a3])?\d")
_BETWEEN = re.compile(r"\bdifferences?\b|\bbetween\b", re.IGNORECASE)
_DIFFER = re.compile(r"\b(?:differ|compare)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`first` asks about one of the things; `other` names the second."""

    first: str
    other: str


def comparison_of(question: str) -> Comparison | None:
    """What `question` compares; None when it compares nothing."""
    asked = question.strip(" ?.")
    if len(_BETWEEN.findall(asked)) > 1:
        before, _, other = _BETWEEN.sub("", asked).partition(" and ")
    elif (differ := _DIFFER.search(asked)) is not None:
        before, _, other = asked[: differ.start()].partition(" and ")
        before += asked[differ.end() :]
    elif _COMPARING.search(asked):
        before, _, other = asked.rpartition(" than " if " than " in asked else " or ")
        if (last := _COMPARING.search(other)) is not None and last.end() == len(other):
            # "Is the tug or the lightship longer": both are asked about.
            before, other = f"{before} {last.group()}", other[: last.start()]
    else:
        return None
    if not question_terms(before) or not question_terms(other) or _LIMIT.match(other):
        return None
    return Comparison(f"{before.strip(' ,')}?", other.strip(" ,"))


def counterpart(first: Unit, compared: str, units: Sequence[Unit]) -> Unit | None:
    """The unit that states about the thing `compared` what `first` states about the other; None when there is none.

    It is the same column of the row with that label, the column with that head in the same row, or a sentence of
    the same passage.
    """
    wanted = frozenset(question_terms(compared))
    if first.row is None:
        if wanted <= terms_of(first.text):
            return first
        alike = (unit for unit in units if unit.row is None and unit.passage == first.passage)
        return next((unit for unit in alike if wanted <= terms_of(unit.text)), None)
    row = first.row
    heads = [terms_of(row.head(column)) & wanted for column in row.columns()]
    best = max(map(len, heads), default=0)
    columns = tuple(c for c, head in zip(row.columns(), heads, strict=True) if best and len(head) == best)
    if len(columns) == 1 and columns != first.columns:
        return replace(first, columns=columns)
    shared = frozenset[str]().union(*(terms_of(row.head(column)) for column in first.columns))
    rows = [
        unit
        for unit in units
        if unit.row is not None
        and (unit.passage, unit.row.keys) == (first.passage, row.keys)
        and unit.row.index != row.index
    ]
    named = (unit for unit in rows if unit.row and wanted <= terms_of(unit.row.cells[unit.row.label]) | shared)
    found = next(named, None)
    return None if found is None else replace(found, columns=first.columns)
