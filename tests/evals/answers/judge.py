"""Whether an answer says what is wanted."""

import re
from collections.abc import Sequence

from core.gateway.extraction.words import content_words
from core.gateway.providers.extractive import NOT_ANSWERED_TOO

_FIGURE = re.compile(r"\d[\d,.:]*\d|\d")


def holds(said: str, want: str) -> bool:
    """Whether `said` has the words of `want`; a figure counts whole (`3` is not in `3.5`)."""
    plain = " ".join(said.split()).casefold()
    sought = re.escape(" ".join(want.split()).casefold())
    return re.search(rf"(?<![\w.,]){sought}(?!\w|[.,]\d)", plain) is not None


def is_right(said: str, want: Sequence[str]) -> bool:
    """Whether `said` has all that is wanted, or some of it and names the part that it does not answer."""
    found = sum(holds(said, part) for part in want)
    return found == len(want) or (found > 0 and NOT_ANSWERED_TOO in said)


def fits(said: str, want: str) -> bool:
    """Whether `said` has the figures of the first part of a wanted answer in prose, or most words of one without."""
    part = re.split(r"; |, ", want.removeprefix("No, "))[0]
    figures = _FIGURE.findall(part)
    if figures:
        return all(holds(said, figure) for figure in figures)
    words = set(content_words(part))
    return len(words & set(content_words(said))) >= 0.6 * len(words)
