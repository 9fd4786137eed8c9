"""Which argument values of a call came from text that no trusted source contains."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.guard.records import Source

# A run of this many characters shared by an argument and such a text was copied. Half of it is the stored unit.
SHARED_CHARACTERS = 24
_BLOCK = SHARED_CHARACTERS // 2
# Beyond this much text nothing more is stored, and a value that no trusted source contains counts as tainted.
_MAX_CHARACTERS = 2_000_000
_MAX_ARGUMENT_CHARACTERS = 20_000
_DEPTH_MAX = 32
_UNSEEN = re.compile(r"[\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff]")
_WORD = re.compile(r"\w+(?:[.,@'/:+-]\w+)*")
_IDENTIFIER = re.compile(r"[\w.@:/+-]{1,100}")
_SEPARATORS = re.compile(r"[\s._/:+-]+")
# Marks a word within a text that identifies a person or a thing.
_DISTINCTIVE = re.compile(r"[\d@]")
_NUMBER = re.compile(r"-?\d+(?:[.,]\d+)*")


@dataclass(frozen=True, slots=True)
class Taint:
    """An argument, by its path (``lines.0.iban``), and the source of its value."""

    argument: str
    source: Source


class TaintTracker:
    """Text that a job's models have read, and text that is vouched for. Not thread-safe: create one per step.

    A value is tainted when it appears in a text from outside and neither in the caller's own words nor as a field of
    its own in an answer of the operator's systems. `is_on` False: nothing is ever tainted.
    """

    def __init__(self, *, is_on: bool = True) -> None:
        self.is_on = is_on
        self._texts: list[tuple[Source, _Text]] = []
        self._vouched = _Text("")
        self._size = 0

    @property
    def has_seen(self) -> bool:
        """Whether any text from outside was read."""
        return self.is_on and bool(self._texts)

    def seen(self, source: Source, text: str) -> None:
        """Record a text from outside, read by a model or by the code that decides about the call."""
        self._size += len(text)
        self._texts.append((source, _Text(text if self._size <= _MAX_CHARACTERS else "")))

    def vouch(self, *texts: str) -> None:
        """Record words of the caller, or of the operator's programs."""
        for text in texts:
            self._vouched.add(text)

    def record(self, source: Source, answer: Any) -> None:
        """Record a system of record's answer: identifiers, numbers and dates are vouched for, free text is not."""
        for _, value in _leaves(answer):
            text = _text_of(value)
            if _IDENTIFIER.fullmatch(text):
                self.vouch(text)
            elif text:
                self.seen(source, text)

    def taints(self, arguments: Mapping[str, Any]) -> list[Taint]:
        """The arguments whose values came from outside, without repeats."""
        if not self.has_seen:
            return []
        found = []
        for path, value in _leaves(arguments):
            text = _text_of(value)
            source = self._source_of(text) if text else None
            if source is not None:
                found.append(Taint(path, source))
        return found

    def _source_of(self, text: str) -> Source | None:
        if len(text) > _MAX_ARGUMENT_CHARACTERS:
            return self._texts[0][0]
        wanted = _Text(text)
        if not wanted.normal or self._vouched.says(wanted):
            return None
        if self._size > _MAX_CHARACTERS:
            return self._texts[0][0]
        for source, read in self._texts:
            if read.says(wanted) or wanted.shares(read, but=self._vouched):
                return source
        return None


class _Text:
    """A text in the forms used to compare values."""

    def __init__(self, text: str) -> None:
        self.normal = ""
        self.tokens: set[str] = set()
        self.blocks: set[str] = set()
        self.add(text)

    def add(self, text: str) -> None:
        normal = " ".join(_UNSEEN.sub("", unicodedata.normalize("NFKC", text)).casefold().split())
        self.normal = f"{self.normal}\n{normal}" if self.normal else normal
        words = _WORD.findall(normal)
        self.tokens.update(form for word in words for form in _forms(word))
        # Identifiers are written in groups: DE89 3704 0044.
        for first in range(len(words)):
            if len(words[first]) > _GROUP_MAX:
                continue
            joined = words[first]
            for word in words[first + 1 : first + _GROUPS_MAX]:
                if len(word) > _GROUP_MAX:
                    break
                joined += word
                self.tokens.add(joined)
        self.blocks.update(normal[at : at + _BLOCK] for at in range(0, len(normal) - _BLOCK + 1, _BLOCK))

    def says(self, wanted: "_Text") -> bool:
        """Whether all of `wanted` appears here, as whole words, or as a number or an identifier."""
        at = self.normal.find(wanted.normal)
        while at != -1:
            end = at + len(wanted.normal)
            if not (self.normal[at - 1 : at].isalnum() and wanted.normal[0].isalnum()) and not (
                self.normal[end : end + 1].isalnum() and wanted.normal[-1].isalnum()
            ):
                return True
            at = self.normal.find(wanted.normal, at + len(wanted.normal))
        return any(form in self.tokens for form in _forms(wanted.normal))

    def shares(self, other: "_Text", *, but: "_Text") -> bool:
        """Whether it shares a run, an identifier or a number with `other` that is not also in `but`."""
        text = self.normal
        for at in range(len(text) - _BLOCK + 1):
            block = text[at : at + _BLOCK]
            if block in other.blocks and block not in but.normal:
                # Shared runs shorter than two blocks are ordinary language.
                around = text[max(0, at - _BLOCK) : at + 2 * _BLOCK]
                if _longest(around, other.normal, block) >= SHARED_CHARACTERS:
                    return True
        distinctive = (word for word in _WORD.findall(text) if len(word) > _SHORT and _DISTINCTIVE.search(word))
        return any(word in other.tokens and word not in but.tokens for word in distinctive)


_GROUP_MAX, _GROUPS_MAX, _SHORT = 6, 10, 3


def _longest(around: str, text: str, block: str) -> int:
    """The length of the run that `around` shares with `text` at `block`."""
    at, place = around.find(block), text.find(block)
    begin, end = 0, len(block)
    while at - begin > 0 and place - begin > 0 and around[at - begin - 1] == text[place - begin - 1]:
        begin += 1
    while at + end < len(around) and place + end < len(text) and around[at + end] == text[place + end]:
        end += 1
    return begin + end


def _forms(word: str) -> Iterator[str]:
    """A word, without its separators, and as a number whatever its thousands and decimal separators."""
    yield word
    compact = _SEPARATORS.sub("", word)
    if compact != word and any(map(str.isdigit, compact)):
        yield compact
    if _NUMBER.fullmatch(word):
        for decimal, thousands in ((".", ","), (",", ".")):
            whole, _, fraction = word.replace(thousands, "").partition(decimal)
            if fraction.isdigit() or not fraction:
                fraction = fraction.rstrip("0")
                yield f"#{whole}.{fraction}" if fraction else f"#{whole}"


def _text_of(value: Any) -> str:
    return "" if value is None or isinstance(value, bool) else str(value).strip()


def _leaves(value: Any, path: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    if depth > _DEPTH_MAX:
        yield path, str(value)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, f"{path}.{name}" if path else str(name), depth + 1)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for number, item in enumerate(value):
            yield from _leaves(item, f"{path}.{number}" if path else str(number), depth + 1)
    else:
        yield path, value
