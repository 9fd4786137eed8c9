"""Every sentence and row of the passages as a candidate for the answer, with the features for and against it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from core.gateway.extraction.expectations import Expectation, Kind, expectation_of
from core.gateway.extraction.quantities import Quantity, Range, quantities, ranges, row_range
from core.gateway.extraction.sentences import Kind as SentenceKind
from core.gateway.extraction.sentences import Sentence, split_sentences
from core.gateway.extraction.softness import SoftCover, soft_covers
from core.gateway.extraction.tables import Row, rows_of
from core.gateway.extraction.terms import Worth, initials_of, is_named, term_of, terms_of
from core.gateway.models import Embedder, Passage

_MIN_WORDS = 3
_MAX_CANDIDATES = 48
_USUAL, _FEW = 4, 2
_MANY_NEWS = 20
# Pronouns and the like, whose subject is in the sentence before.
_REFERS = re.compile(r"(?:It|Its|They|Their|He|His|She|Her|This|These)\b")
# In a heading "2.1 Included cover" the number says nothing about its text, yet it would match a "2" in the question.
_SECTION_NUMBER = re.compile(r"(?:^|(?<=> ))\d{1,3}(?:\.\d{1,3}){0,4}\.?\s")

FEATURES = (
    "closeness", "closeness_rank", "cover", "cover_around", "cover_passage", "soft_around", "missing_rarest",
    "soft_missing_rarest", "names_missing", "names_missing_passage", "numbers_missing", "kind_fits", "kind_misfits",
    "kind_open", "rank", "is_row", "is_item", "brief", "column_named", "yes_no", "heading_cover", "terms_missing",
    "first", "focus_missing", "focus_unlike", "counted_from", "contradicts",
    "names_unsaid", "numbers_unsaid", "nearby", "news", "head_cover", "closeness_passage",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Unit:
    """Sentence `index` of passage number `passage`. For a row, `columns` are those that the question asks for."""

    passage: int
    index: int
    sentence: Sentence
    text: str
    row: Row | None = None
    columns: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """The candidates with their features, shape (len(units), len(FEATURES)), and all sentences of each passage."""

    units: tuple[Unit, ...]
    features: NDArray[np.float32]
    sentences: tuple[tuple[Sentence, ...], ...]


def gather(question: str, passages: Sequence[Passage], embedder: Embedder) -> Evidence:
    """The candidates in `passages`, which are in order of relevance. Embeds at most 48 of them."""
    sentences = tuple(tuple(split_sentences(passage.text)) for passage in passages)
    rows = [rows_of(passage.text, found) for passage, found in zip(passages, sentences, strict=True)]
    everything = [
        terms_of(f"{p.document} {p.section} {p.text}") | initials_of(f"{p.section}\n{p.text}") for p in passages
    ]
    each = [terms_of(p.text[s.start : s.end]) for p, found in zip(passages, sentences, strict=True) for s in found]
    worth = Worth(question, each)
    usual_from = max(_USUAL, len(passages) - _FEW)
    held_by = {name: sum(is_named(name, held) for held in everything) for name in worth.names if name.isalpha()}
    usual = frozenset(name for name, count in held_by.items() if count >= usual_from)
    asked = _Asked(question, worth, expectation_of(question), [q for q in quantities(question) if q.unit], usual)
    described = [
        described
        for number, passage in enumerate(passages)
        for described in _describe(asked, passage, number, sentences[number], rows[number])
    ]
    # An amount within a range that a passage gives counts as present in the passage.
    for one in described:
        everything[one.unit.passage] |= one.around
    if not described:
        return Evidence((), np.zeros((0, len(FEATURES)), dtype=np.float32), sentences)
    if len(described) > _MAX_CANDIDATES:
        described = sorted(described, key=lambda one: -worth.share(one.around))[:_MAX_CANDIDATES]
    vectors = embedder.embed([question, *(one.embedded for one in described)])
    closeness = vectors[1:] @ vectors[0]
    order = np.argsort(-closeness)
    ranks = np.empty_like(order)
    ranks[order] = np.arange(len(order))
    soft = soft_covers(worth, [one.around for one in described], closeness, embedder)
    best_of_passage = {one.unit.passage: 0.0 for one in described}
    for one, close in zip(described, closeness, strict=True):
        best_of_passage[one.unit.passage] = max(best_of_passage[one.unit.passage], float(close))
    features = np.array(
        [
            [
                *_features(asked, one, everything[one.unit.passage], (float(closeness[n]), int(ranks[n])), soft[n]),
                best_of_passage[one.unit.passage],
            ]
            for n, one in enumerate(described)
        ],
        dtype=np.float32,
    )
    return Evidence(tuple(one.unit for one in described), features, sentences)


@dataclass(frozen=True, slots=True)
class _Asked:
    question: str
    worth: Worth
    expectation: Expectation
    amounts: Sequence[Quantity]
    # Names that nearly all passages contain, such as a company's own: its documents say "we".
    usual: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Described:
    """A unit with its own terms, its terms including those of its surroundings, and its text to embed."""

    unit: Unit
    own: frozenset[str]
    around: frozenset[str]
    headings: frozenset[str]
    fits: bool | None
    embedded: str
    heads: frozenset[str] = frozenset()


def _describe(
    asked: _Asked, passage: Passage, number: int, sentences: Sequence[Sentence], rows: dict[int, Row]
) -> list[_Described]:
    named = passage.document.rpartition(".")[0].replace("-", " ")
    path = terms_of(f"{named} {_SECTION_NUMBER.sub('', passage.section)}")
    heading = passage.section.rpartition(" > ")[2]
    found = []
    before: frozenset[str] = frozenset()
    for index, sentence in enumerate(sentences):
        text = passage.text[sentence.start : sentence.end]
        if sentence.kind is SentenceKind.ROW:
            row = rows.get(index)
            if row is not None and row.columns():
                unit, own, fits = _read_row(asked, Unit(number, index, sentence, text, row), path)
                read = row.reading(unit.columns)
                own |= asked.expectation.implied(read) | _compared(asked, read)
                said = "\n".join(part for part in (heading, row.reading(row.columns())) if part)
                heads = frozenset[str]().union(*(terms_of(row.head(column)) for column in unit.columns))
                found.append(_Described(unit, own, own | path, path, fits, said, heads))
            continue
        own = _with_ranges(asked, text, terms_of(text)) | asked.expectation.implied(text) | _compared(asked, text)
        if sentence.kind is SentenceKind.HEADING:
            before = own
            continue
        last = passage.text[sentences[index - 1].start : sentences[index - 1].end] if index else ""
        refers = _refers(asked.expectation, text, last)
        if refers:
            own |= before
        if _can_stand_alone(passage.text, sentence):
            unit = Unit(number, index, sentence, text)
            context = last if refers else f"{heading}:" if heading else ""
            said = f"{context} {text}".strip()
            fits = asked.expectation.fits(text)
            found.append(_Described(unit, own, own | before | path, path, fits, said))
        before = own
    return found


def _refers(expectation: Expectation, text: str, last: str) -> bool:
    """Whether `text` refers to what the `last` sentence names and adds something that the last does not contain."""
    return _REFERS.match(text) is not None and bool(expectation.places(text)) and not expectation.places(last)


def _read_row(asked: _Asked, read: Unit, path: frozenset[str]) -> tuple[Unit, frozenset[str], bool | None]:
    """The row with the columns that the question asks for, the terms they cover, and whether one fits."""
    row = read.row
    assert row is not None
    label = row.cells[row.label]
    key = terms_of(label)
    bounds = row_range(row.keys, row.index) if row.keys else None
    if bounds is not None:
        # The ends of a range stand for the values between them, not for themselves.
        key = frozenset(term for term in key if not term[0].isdigit()) | _terms_within(asked, [bounds])
    worded = frozenset[str]().union(
        *(terms_of(cell) for column, cell in enumerate(row.cells) if column != row.label and _is_worded(cell))
    )
    covered = [
        (
            asked.worth.share(terms_of(row.head(column)) | key | path)
            + asked.expectation.is_asked_by(row.head(column)),
            asked.expectation.fits_cell(row.cells[column], row.head(column), label),
            column,
        )
        for column in row.columns()
    ]
    most = max(share for share, _, _ in covered)
    named = [one for one in covered if one[0] >= most - 1e-9]
    if any(fits for _, fits, _ in named):
        named = [one for one in named if one[1]]
    columns = tuple(column for _, _, column in named)
    own = key | worded
    for column in columns:
        own |= terms_of(row.head(column)) | terms_of(row.cells[column])
    return replace(read, columns=columns), own, named[0][1]


def _is_worded(cell: str) -> bool:
    return sum(character.isalpha() for character in cell) > 2 * sum(character.isdigit() for character in cell) + 3


def _with_ranges(asked: _Asked, text: str, terms: frozenset[str]) -> frozenset[str]:
    """`terms` and the amounts of the question that are within a range that `text` gives."""
    return terms | _terms_within(asked, ranges(text)) if asked.amounts else terms


def _terms_within(asked: _Asked, given: Sequence[Range]) -> frozenset[str]:
    """The amounts of the question, as terms, that are within one of the ranges."""
    return frozenset(
        term_of(asked.question[amount.start : amount.end].casefold())
        for amount in asked.amounts
        if any(one.holds(amount) for one in given)
    )


def _compared(asked: _Asked, text: str) -> frozenset[str]:
    """For a yes/no question, its amounts, as terms, that `text` gives a limit for: "at most EUR 145" for 160."""
    if asked.expectation.kind is not Kind.CHOICE or not asked.amounts:
        return frozenset()
    units = {found.unit for found in quantities(text)}
    return frozenset(
        term_of(asked.question[amount.start : amount.end].casefold())
        for amount in asked.amounts
        if amount.unit in units
    )


def _features(
    asked: _Asked, one: _Described, passage: frozenset[str], near: tuple[float, int], soft: SoftCover
) -> list[float]:
    worth, unit, (closeness, place) = asked.worth, one.unit, near
    missing = worth.missing(one.around)
    names = worth.names
    return [
        closeness,
        1 / (1 + place),
        worth.share(one.own),
        worth.share(one.around),
        worth.share(passage),
        soft.share,
        max((worth.rarity(term) for term in missing), default=0.0),
        soft.worst,
        float(sum(name not in one.around for name in names)),
        float(sum(name not in passage for name in names)),
        float(sum(name not in one.own for name in names if name.isdigit())),
        float(one.fits is True),
        float(one.fits is False),
        float(one.fits is None),
        1 / (1 + unit.passage),
        float(unit.row is not None),
        float(unit.sentence.kind is SentenceKind.ITEM),
        min(len(unit.text.split()), 60) / 60,
        1 / len(unit.columns) if unit.columns else 0.0,
        float(asked.expectation.kind in (Kind.CHOICE, Kind.MANNER, Kind.OTHER)),
        worth.share(one.headings),
        float(len(missing)),
        float(unit.index == 0),
        float(worth.focus is not None and worth.focus not in one.around),
        soft.focus,
        float(unit.row is None and asked.expectation.kind is Kind.DURATION and _is_counted_from(asked, unit.text)),
        float(worth.contradicts(one.around)),
        float(
            sum(
                not is_named(name, one.around)
                for name in names - asked.usual
                if unit.row or not is_named(name, passage)
            )
        ),
        float(sum(name not in one.around for name in names if any(character.isdigit() for character in name))),
        worth.nearby(unit.text, asked.expectation.places(unit.text)) if unit.row is None else worth.share(one.own),
        min(len(terms_of(unit.text) - frozenset(worth.terms)), _MANY_NEWS) / _MANY_NEWS,
        worth.share(one.heads),
    ]


def _is_counted_from(asked: _Asked, text: str) -> bool:
    """Whether a term of the question appears in `text` only where it states the start of a period."""
    said = asked.expectation.asserted(text)
    if said == text:
        return False
    return any(term in terms_of(text) and term not in terms_of(said) for term in asked.worth.terms)


def _can_stand_alone(text: str, sentence: Sentence) -> bool:
    """Whether a sentence is worth showing: not a stub, a question or the cut-off edge of a passage."""
    body = text[sentence.start : sentence.end]
    if len(body.split()) < _MIN_WORDS or body.endswith("?"):
        return False
    torn_start = sentence.start == 0 and sentence.kind is SentenceKind.PROSE and body[:1].islower()
    at_end = sentence.end == len(text.rstrip()) and sentence.kind is SentenceKind.PROSE
    return not (torn_start or (at_end and body[-1] not in ".!\u2026:;)\"'\u201d\u2019\u00bb"))
