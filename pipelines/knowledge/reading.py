"""Reads a model's answer as it streams: takes out its quotes, verifies them, and puts numbered markers in their place.

A writing model is asked (``prompts/answer.md``) to put ``<quote source="2">exact words</quote>`` after each statement,
and to start with ``<no-answer/>`` when the sources do not answer. A quote is held back until it is complete; then
``[1]`` replaces it if it was found in the passages, and nothing if it was not. So the client sees live the text of the
result.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from core.gateway.models import Chunk, Citation, Passage
from core.guard.links import LinkStripper
from pipelines._kit.quotes import find_quote

# Bounded in length, so that the amount of held-back text is bounded too.
_OPEN = re.compile(r"<quote(?:\s{1,3}source\s{0,2}=\s{0,2}[\"']?\s?\[?(\d{1,4})\]?\s?[\"']?)?\s{0,2}>", re.IGNORECASE)
_CLOSE = re.compile(r"</quote\s{0,2}>", re.IGNORECASE)
_NO_ANSWER = re.compile(r"</?no-answer\s{0,2}/?>", re.IGNORECASE)
# A bare number would look like one of our markers without a verified quote behind it.
_BARE = re.compile(r" ?\[\d{1,3}(?: ?[,;] ?\d{1,3}){0,9}\]")
_BEGINNINGS = ("<quote", "<no-answer", "</no-answer")
_TAG_MAX_CHARACTERS = 48
_BARE_MAX_CHARACTERS = 64
_QUOTE_MAX_CHARACTERS = 2000


Piece = str | int


@dataclass(frozen=True, slots=True)
class Reading:
    """The result of a whole answer: pieces of text, and numbers, where ``n`` stands for ``citations[n - 1]``."""

    pieces: tuple[Piece, ...]
    citations: tuple[Citation, ...]
    dropped_quotes: int
    says_no_answer: bool

    @property
    def text(self) -> str:
        """The answer as it was shown."""
        return render(self.pieces)


def render(pieces: Sequence[Piece], numbers: Mapping[int, int] | None = None) -> str:
    """The pieces as one text. With `numbers`, markers are renumbered, and those without a number left out."""
    renumbered = (
        piece if isinstance(piece, str) else (piece if numbers is None else numbers.get(piece)) for piece in pieces
    )
    return "".join(piece if isinstance(piece, str) else f" [{piece}]" for piece in renumbered if piece is not None)


class AnswerReader:
    """Feed it the chunks of one answer in order; each call returns what may be shown now.

    `open_links` creates the filter that removes links from the model's own words; quotes stay unchanged.
    """

    def __init__(
        self, passages: Sequence[Passage], open_links: Callable[[], LinkStripper | None] | None = None
    ) -> None:
        self._open_links = open_links
        self._links: LinkStripper | None = None
        self._passages = {passage.id: passage for passage in passages}
        self._numbered = list(passages)
        self._citations: list[Citation] = []
        self._shown: list[Piece] = []
        self._held = ""
        self._quoting: tuple[int | None] | None = None
        self._dropped = 0
        self._says_no_answer = False

    def feed(self, chunk: Chunk) -> str:
        """Read the next chunk. One that carries citations is the passages' own words and is not searched for tags."""
        if chunk.citations:
            marks = [mark for cited in chunk.citations for mark in self._mark(cited)]
            return self._show([*self._release(), chunk.text, *marks])
        if self._links is None and self._open_links is not None:
            self._links = self._open_links()
        self._held += chunk.text
        return self._show(self._cleaned(self._advance()))

    def close(self) -> str:
        """The answer is complete; returns the rest of it."""
        return self._show(self._release())

    @property
    def links_removed(self) -> int:
        """How many links were removed."""
        return 0 if self._links is None else self._links.removed

    @property
    def reading(self) -> Reading:
        """The answer up to now."""
        return Reading(tuple(self._shown), tuple(self._citations), self._dropped, self._says_no_answer)

    def _show(self, pieces: Sequence[Piece]) -> str:
        shown: list[Piece] = []
        for piece in pieces:
            is_first = not self._shown and not shown
            wanted = piece.lstrip() if is_first and isinstance(piece, str) else piece
            if wanted:
                shown.append(wanted)
        for piece in shown:
            if self._shown and isinstance(piece, str) and isinstance(last := self._shown[-1], str):
                self._shown[-1] = last + piece
            else:
                self._shown.append(piece)
        return render(shown)

    def _release(self) -> list[Piece]:
        """The held-back text, now that nothing follows. An unfinished quote is dropped, as its end may be missing."""
        pieces = self._advance()
        if self._quoting is not None:
            self._quoting = None
            self._dropped += 1
        else:
            pieces.append(_BARE.sub("", self._held))
        self._held = ""
        return [*self._cleaned(pieces), "" if self._links is None else self._links.close()]

    def _cleaned(self, pieces: Sequence[Piece]) -> list[Piece]:
        """The pieces without links; a marker ends a link that is still incomplete."""
        links = self._links
        if links is None:
            return list(pieces)
        shown: list[Piece] = []
        for piece in pieces:
            shown += [links.feed(piece)] if isinstance(piece, str) else [links.close(), piece]
        return shown

    def _advance(self) -> list[Piece]:
        pieces: list[Piece] = []
        goes_on = True
        while goes_on:
            found, goes_on = self._inside() if self._quoting is not None else self._outside()
            pieces.extend(found)
        return pieces

    def _inside(self) -> tuple[list[Piece], bool]:
        """Look for the end of a quote; returns its marker, and whether the held-back text may hold more."""
        assert self._quoting is not None
        end = _CLOSE.search(self._held)
        if end is None and len(self._held) <= _QUOTE_MAX_CHARACTERS:
            return [], False
        (source,), self._quoting = self._quoting, None
        if end is None:
            # The model forgot to close it; no quote is this long, and the rest of the answer should not be lost.
            self._dropped += 1
            return [], True
        quote, self._held = self._held[: end.start()], self._held[end.end() :]
        citation = self._verify(quote, source)
        if citation is None:
            self._dropped += 1
            return [], True
        return self._mark(citation), True

    def _outside(self) -> tuple[list[Piece], bool]:
        """Pass on text up to the next tag; returns it, and whether the held-back text may hold more."""
        for position, character in enumerate(self._held):
            if character not in "<[ ":
                continue
            if found := _OPEN.match(self._held, position):
                self._quoting = (int(found[1]) if found[1] else None,)
                return self._cut(position, found.end()), True
            if found := _NO_ANSWER.match(self._held, position):
                self._says_no_answer = True
                return self._cut(position, found.end()), True
            if found := _BARE.match(self._held, position):
                return self._cut(position, found.end()), True
            if _may_become_tag(self._held[position:]):
                return self._cut(position, position), False
        return self._cut(len(self._held), len(self._held)), False

    def _cut(self, end: int, begin_again: int) -> list[Piece]:
        text, self._held = self._held[:end], self._held[begin_again:]
        return [text]

    def _verify(self, quote: str, source: int | None) -> Citation | None:
        """The quote's place in the passage it names, or else in any other that holds it: models miscount sources."""
        named = self._numbered[source - 1 : source] if source else []
        for passage in [*named, *(other for other in self._numbered if other not in named)]:
            span = find_quote(passage.text, quote)
            if span is not None:
                return Citation(passage.id, span.start, span.end)
        return None

    def _mark(self, citation: Citation) -> list[Piece]:
        """The number of `citation`, the next one if it is new; nothing when its span is not real."""
        passage = self._passages.get(citation.passage_id)
        if passage is None or not 0 <= citation.start < citation.end <= len(passage.text):
            self._dropped += 1
            return []
        if citation not in self._citations:
            self._citations.append(citation)
        return [self._citations.index(citation) + 1]


def _may_become_tag(text: str) -> bool:
    """Whether more text could turn the start of `text` into something that is not shown."""
    if text.startswith("<"):
        lowered = text.lower()
        begins = any(lowered.startswith(tag) or tag.startswith(lowered) for tag in _BEGINNINGS)
        return begins and ">" not in text and len(text) <= _TAG_MAX_CHARACTERS
    body = text.lstrip(" ")
    if len(text) - len(body) > 1:
        return False
    if not body:
        return True
    return body.startswith("[") and len(body) <= _BARE_MAX_CHARACTERS and re.fullmatch(r"\[[\d ,;]*", body) is not None
