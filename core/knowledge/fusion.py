"""How lexical and dense evidence become one ranking. Pure functions over {chunk: score}."""

from collections.abc import Hashable, Mapping, Sequence
from math import log, sqrt
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)

# Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", 2009; their customary parameters.
BM25_K1 = 1.2
BM25_B = 0.75

# The dense share of a convex combination of min-max normalised scores (Bruch, Gai and Ingber, "An Analysis of Fusion
# Functions for Hybrid Retrieval", TOIS 2023: it beats rank fusion and is insensitive to the share around 0.6).
DENSE_SHARE = 0.6

# Rocchio's feedback on the dense query (Rocchio 1971; for dense retrieval Li et al., "Pseudo Relevance Feedback with
# Deep Language Models and Dense Retrievers", TOIS 2023).
FEEDBACK_PASSAGES = 5
FEEDBACK_SHARE = 0.3


def inverse_document_frequency(chunks: int, containing: int) -> float:
    """The BM25 weight of a term that occurs in `containing` of `chunks` chunks; never negative."""
    return log(1 + (chunks - containing + 0.5) / (containing + 0.5))


def normalised(scores: Mapping[Key, float]) -> dict[Key, float]:
    """Scores scaled to 0…1, the worst of the list at 0."""
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    width = high - low
    return {key: (score - low) / width if width > 0 else 1.0 for key, score in scores.items()}


def fuse(
    dense: Mapping[Key, float], lexical: Mapping[Key, float], dense_share: float = DENSE_SHARE
) -> dict[Key, float]:
    """The convex combination of both lists, each normalised; what a list did not find counts as its worst."""
    near, worded = normalised(dense), normalised(lexical)
    return {
        key: dense_share * near.get(key, 0.0) + (1 - dense_share) * worded.get(key, 0.0)
        for key in near.keys() | worded.keys()
    }


def best(scores: Mapping[Key, float], count: int) -> list[Key]:
    """The `count` best keys, best first; ties in a stable order."""
    return sorted(scores, key=lambda key: (-scores[key], str(key)))[:count]


def feedback_query(
    query: Sequence[float], passages: Sequence[Sequence[float]], weights: Sequence[float]
) -> list[float]:
    """The unit query vector moved towards the weighted centre of `passages`, and scaled to unit length again."""
    total = sum(weights)
    if not passages or total <= 0:
        return list(query)
    moved = [
        (1 - FEEDBACK_SHARE) * component
        + FEEDBACK_SHARE
        * sum(weight * passage[index] for weight, passage in zip(weights, passages, strict=True))
        / total
        for index, component in enumerate(query)
    ]
    length = sqrt(sum(component * component for component in moved))
    return [component / length for component in moved] if length > 0 else list(query)
