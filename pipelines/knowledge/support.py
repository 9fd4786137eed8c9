"""Whether a model's words are supported by its quotes, as far as a program can tell: by their figures."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from pipelines._kit.figures import missing_figures
from pipelines.knowledge.reading import Piece
from pipelines.knowledge.schemas import VerifiedQuote

_LIST_MARKER = re.compile(r"^[ \t]{0,8}\d{1,2}[.)][ \t]", re.MULTILINE)


def unproven_figures(pieces: Sequence[Piece], quotes: Mapping[int, VerifiedQuote], question: str) -> list[str]:
    """The figures that occur neither in the quotes of their own statement, nor in their headings, nor in the question.

    `quotes` are those that were verified, by the numbers in `pieces`. The text after the last quote of an answer sums
    it up, and is compared with all of them.
    """
    held = {number: f"{quote.document} {quote.section or ''} {quote.quote}" for number, quote in quotes.items()}
    missing: dict[str, None] = {}
    for statement, cited in _statements(pieces):
        sources = [held[number] for number in cited if number in held] if cited else list(held.values())
        missing |= dict.fromkeys(missing_figures(_LIST_MARKER.sub("", statement), [question, *sources]))
    return list(missing)


def _statements(pieces: Sequence[Piece]) -> Iterator[tuple[str, list[int]]]:
    """Each stretch of text with the numbers of the quotes after it."""
    text = ""
    for is_text, run in groupby(pieces, key=lambda piece: isinstance(piece, str)):
        if is_text:
            text = "".join(str(piece) for piece in run)
        else:
            yield text, [int(piece) for piece in run]
            text = ""
    if text:
        yield text, []
