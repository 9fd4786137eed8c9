"""The data class of texts similar to a policy's examples, by the cosine of their vectors. For workers only.

The caller provides the embedding, because the API has no model: nothing here imports one.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import count, islice
from threading import Lock
from typing import TYPE_CHECKING, TypeVar

from core.guard.policy import CombinedPolicy, Example, GuardPolicy
from core.kit.data_classes import DataClass
from core.kit.errors import CapabilityFailure, Unavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Texts to unit vectors, one row each. Raises `core.kit.errors.Unavailable` where there is no model.
Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]
# About the length of one statement: in larger pieces it is lost among the rest (docs/reference/guard.md).
PIECE_MAX_CHARACTERS = 250
# Shorter texts, such as headings, are joined with what follows.
_PIECE_MIN_CHARACTERS = 100
# Per text, to bound its cost; later pieces are not compared.
PIECES_MAX = 256
_SENTENCE_ENDS = (". ", "? ", "! ", "\n")
_POLICIES_MAX = 100
_TEXTS_MAX = 20_000
Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class _Prepared:
    """The examples of one policy: a row of `vectors` and a class for each of their pieces."""

    number: int
    vectors: "NDArray[np.float32]"
    classes: tuple[DataClass, ...]
    similarity: float

    def classes_of(self, vectors: "NDArray[np.float32]") -> Iterator[DataClass]:
        """The classes of all examples that at least one of `vectors` (not empty) is similar to."""
        nearest = (vectors @ self.vectors.T).max(axis=0).tolist()
        return (each for each, cosine in zip(self.classes, nearest, strict=True) if cosine >= self.similarity)


class ExampleClasses:
    """Classifies texts by the examples of policies; one per process. Thread-safe: a race costs time.

    `embed` is first called for a policy that has examples. Examples are embedded once; texts are cached as digests with
    their classes.
    """

    def __init__(self, embed: Embed | None = None) -> None:
        self._embed = embed
        self._numbers = count()
        self._prepared: OrderedDict[tuple[tuple[Example, ...], float], _Prepared] = OrderedDict()
        self._known: OrderedDict[tuple[bytes, tuple[int, ...]], DataClass | None] = OrderedDict()
        self._lock = Lock()

    def highest(self, policy: CombinedPolicy, texts: Iterable[str]) -> DataClass | None:
        """The highest class of the examples that one of `texts` is similar to; None when there is none.

        Each policy's examples are compared by that policy's similarity. Raises `CapabilityFailure`
        (``guard_model_missing``) where there are examples but no model.
        """
        examples = [self._prepare(each) for each in policy.policies if each.examples]
        if not examples:
            return None
        numbers = tuple(each.number for each in examples)
        asked = {(_digest(text), numbers): text for text in texts if text.strip()}
        with self._lock:
            said = {key: self._known[key] for key in asked if key in self._known}
        unknown = [key for key in asked if key not in said]
        said |= zip(unknown, self._classes_of([asked[key] for key in unknown], examples), strict=True)
        self._remember(self._known, said, _TEXTS_MAX)
        return highest(said.values())

    def _classes_of(self, texts: Sequence[str], examples: Sequence[_Prepared]) -> Iterator[DataClass | None]:
        """The class of each text."""
        in_pieces = [pieces_of(text) for text in texts]
        if not in_pieces:
            return
        vectors, at = self._vectors([piece for pieces in in_pieces for piece in pieces]), 0
        for pieces in in_pieces:
            rows = vectors[at : at + len(pieces)]
            at += len(pieces)
            yield highest(given for each in examples for given in each.classes_of(rows))

    def _prepare(self, policy: GuardPolicy) -> _Prepared:
        stated = policy.examples, policy.example_similarity
        with self._lock:
            prepared = self._prepared.get(stated)
        if prepared is None:
            pieces = [(piece, each.data_class) for each in policy.examples for piece in pieces_of(each.text)]
            vectors = self._vectors([piece for piece, _ in pieces])
            prepared = _Prepared(next(self._numbers), vectors, tuple(given for _, given in pieces), stated[1])
        self._remember(self._prepared, {stated: prepared}, _POLICIES_MAX)
        return prepared

    def _remember(self, memory: OrderedDict[Key, Value], new: Mapping[Key, Value], most: int) -> None:
        """Put `new` into `memory`, which keeps the most recently used entries."""
        with self._lock:
            memory.update(new)
            for key in new:
                memory.move_to_end(key)
            while len(memory) > most:
                memory.popitem(last=False)

    def _vectors(self, pieces: Sequence[str]) -> "NDArray[np.float32]":
        if self._embed is None:
            raise _missing("this process has no embedding model")
        try:
            return self._embed(pieces)
        except Unavailable as error:
            raise _missing(error.detail) from None


def _missing(reason: str) -> CapabilityFailure:
    return CapabilityFailure(
        f"the guard's policy has examples, and texts cannot be compared with them: {reason}", code="guard_model_missing"
    )


def highest(classes: Iterable[DataClass | None]) -> DataClass | None:
    """The highest of the given classes; None when there is none."""
    return max((each for each in classes if each is not None), key=lambda each: each.rank, default=None)


def pieces_of(text: str) -> list[str]:
    """The pieces of a text (not only white space) that are compared: the first ones, at least one.

    They are paragraphs, short ones joined with what follows, and parts of those longer than a piece.
    """
    safe = text.encode(errors="replace").decode()
    return list(islice(_joined(_cut(safe)), PIECES_MAX))


def _joined(parts: Iterable[str]) -> Iterator[str]:
    joined = ""
    for part in parts:
        is_short = len(joined) < _PIECE_MIN_CHARACTERS and len(joined) + len(part) < PIECE_MAX_CHARACTERS
        if joined and not is_short:
            yield joined
            joined = ""
        joined += f"\n{part}" if joined else part
    if joined:
        yield joined


def _cut(text: str) -> Iterator[str]:
    """The paragraphs of a text, overlong ones in parts."""
    for paragraph in _paragraphs(text):
        at = 0
        while len(paragraph) - at > PIECE_MAX_CHARACTERS:
            end = _end(paragraph, at + PIECE_MAX_CHARACTERS)
            yield paragraph[at:end].strip()
            at = end
        if rest := paragraph[at:].strip():
            yield rest


def _end(paragraph: str, most: int) -> int:
    """The end of a part, before `most`: after a sentence or a word, unless these are very long."""
    half = most - PIECE_MAX_CHARACTERS // 2
    ends = [paragraph.rfind(mark, half, most) + len(mark) for mark in _SENTENCE_ENDS if mark in paragraph[half:most]]
    return max(ends, default=paragraph.rfind(" ", half, most) + 1 or most)


def _paragraphs(text: str) -> Iterator[str]:
    """The text between blank lines."""
    lines: list[str] = []
    for line in (*text.splitlines(), ""):
        if stripped := line.strip():
            lines.append(stripped)
        elif lines:
            yield "\n".join(lines)
            lines = []


def _digest(text: str) -> bytes:
    return blake2b(text.encode(errors="replace"), digest_size=16).digest()
