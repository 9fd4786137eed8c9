"""Sub-questions from the topics of the passages found: the sections of the best ones.

A broad question reveals little about the content of its answer; the headings of the documents on it do.
"""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from core.gateway.extraction.words import content_words
from pipelines.research.state import Found, Part

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NUMBERING = re.compile(r"^\s*(?:\d+(?:\.\d+)*\.?|[A-Z]\.|§\s*\d+)\s+")
# A topic counts when its passage is about as close to the question as the closest one.
_WITHIN = 0.22
_LABEL_MAX_CHARACTERS = 90
_SAME_WORDS = 0.6


class Embeds(Protocol):
    """The part of the job's models that is used here."""

    def embed(self, name: str, texts: Sequence[str]) -> "NDArray[Any]":
        """Texts to unit vectors, one row each."""


def find_facets(question: str, found: Sequence[Found], models: Embeds, embedding: str, most: int) -> list[Part]:
    """At most `most` parts for the distinct topics of `found`, best passages first. One call of the embedder."""
    labelled = [(label, source) for source in found if (label := _label(source))]
    if most < 1 or not labelled:
        return []
    # Plain floats: only a handful of values is compared.
    vectors = models.embed(embedding, [question, *(f"{label}\n{source['text']}" for label, source in labelled)])
    closeness = [float(vectors[row] @ vectors[0]) for row in range(1, len(labelled) + 1)]
    least = max(closeness) - _WITHIN
    asked = set(content_words(question))
    parts: list[Part] = []
    seen: list[set[str]] = []
    for (label, _), close in zip(labelled, closeness, strict=True):
        words = set(content_words(label))
        if close < least or not words - asked or any(_overlap(words, other) > _SAME_WORDS for other in seen):
            continue
        seen.append(words)
        stem = question.rstrip("?.! ")
        parts.append({"question": f"{stem}: {label}", "query": f"{label}: {stem}", "heading": label, "origin": "facet"})
        if len(parts) == most:
            break
    return parts


def _label(source: Found) -> str:
    section = (source.get("section") or "").rpartition(" > ")[2]
    label = " ".join(_NUMBERING.sub("", section).split()).rstrip("?.: ")
    return label if len(label) <= _LABEL_MAX_CHARACTERS else ""


def _overlap(one: set[str], other: set[str]) -> float:
    return len(one & other) / min(len(one), len(other)) if one and other else 0.0
