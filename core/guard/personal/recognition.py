"""Personal data and secrets in texts of any size, in time proportional to it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from core.guard.personal.addresses import find_addresses, find_postcodes
from core.guard.personal.births import find_dates_of_birth
from core.guard.personal.candidates import Candidate, Recognizer, resolve
from core.guard.personal.contacts import find_emails, find_ip_addresses
from core.guard.personal.credentials import find_secrets
from core.guard.personal.first_names import find_first_names
from core.guard.personal.identities import find_identities
from core.guard.personal.language import LANGUAGE_KINDS, NameModel
from core.guard.personal.names import find_names
from core.guard.personal.payments import find_cards, find_ibans
from core.guard.personal.phones import find_phones
from core.guard.records import Finding

RECOGNIZERS: tuple[Recognizer, ...] = (
    find_secrets,
    find_cards,
    find_ibans,
    find_identities,
    find_emails,
    find_ip_addresses,
    find_phones,
    find_dates_of_birth,
    find_addresses,
    find_postcodes,
    find_names,
    find_first_names,
)
# A text is read in parts of this many characters, each with context around it: a recognizer looks no further behind a
# finding for its context, and no finding (the longest is a private key) is longer.
PART_LENGTH = 8_000
CONTEXT_LENGTH = 100
FINDING_LENGTH_MAX = 4_000
# The model's time grows with the text, its memory with the batch.
MODEL_PART_LENGTH = 4_000
MODEL_MARGIN_LENGTH = 200


@dataclass(frozen=True, slots=True)
class _Part:
    """The part ``text[start:]`` as far as it is read; it owns findings that start in ``[own_start, own_end)``."""

    text: str
    start: int
    own_start: int
    own_end: int

    def placed(self, candidates: Iterator[Candidate] | list[Candidate]) -> Iterator[Candidate]:
        """Its own candidates, at their position in the whole text."""
        for each in candidates:
            if self.own_start <= each.start + self.start < self.own_end:
                yield replace(each, start=each.start + self.start, end=each.end + self.start)


class PersonalDataRecognizer:
    """Construct it once per process: it loads a language model (178 MB, several seconds). Thread-safe."""

    def __init__(self) -> None:
        self._names = NameModel()

    def find(self, texts: Sequence[str], kinds: frozenset[str] | None = None) -> list[list[Finding]]:
        """The findings of each text, not overlapping, in order of position.

        The language model, which is most of the cost, runs only when it detects one of `kinds`; None means all. All
        recognizers without a model run, because something that looks like a secret may be a card number.
        """
        found: list[list[Candidate]] = [list(find_patterns(text)) for text in texts]
        if kinds is None or kinds & LANGUAGE_KINDS:
            self._find_names(texts, found)
        return [resolve(candidates) for candidates in found]

    def _find_names(self, texts: Sequence[str], found: list[list[Candidate]]) -> None:
        """Add the language model's candidates for each text to `found`."""
        model_parts = [
            (index, part)
            for index, text in enumerate(texts)
            for part in _parts(text, MODEL_PART_LENGTH, MODEL_MARGIN_LENGTH, MODEL_MARGIN_LENGTH)
        ]
        named = self._names.find([part.text for _, part in model_parts])
        for (index, part), candidates in zip(model_parts, named, strict=True):
            found[index].extend(part.placed(candidates))


def find_patterns(text: str) -> Iterator[Candidate]:
    """The candidates of the recognizers without a model, including overlaps."""
    for part in _parts(text, PART_LENGTH, CONTEXT_LENGTH, FINDING_LENGTH_MAX):
        for recognizer in RECOGNIZERS:
            yield from part.placed(recognizer(part.text))


def _parts(text: str, length: int, before: int, behind: int) -> Iterator[_Part]:
    for start in range(0, len(text), length):
        begin = max(0, start - before)
        yield _Part(text[begin : start + length + behind], begin, start, start + length)
