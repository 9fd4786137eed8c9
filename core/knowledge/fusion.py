"""Combines lexical and dense evidence into one ranking. Pure functions over {chunk: score}."""

from collections.abc import Hashable, Mapping, Sequence
from math import log, sqrt
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)

# Pivoted length normalization (Singhal, Buckley and Mitra, "Pivoted Document Length Normalization", SIGIR 1996). It
# ranks like BM25, and its length factor stands outside the sum, so that stored weights never age as the average length
# moves. Stored weights are 1 + ln(1 + ln f); the migration's search function repeats the slope.
PIVOT_SLOPE = 0.2

# The dense share of a convex combination of min-max normalized scores (Bruch, Gai and Ingber, "An Analysis of Fusion
# Functions for Hybrid Retrieval", TOIS 2023: it beats rank fusion and is insensitive to the share around 0.6).
DENSE_SHARE = 0.6

# Rocchio's feedback on the dense query (Rocchio 1971; for dense retrieval Li et al., "Pseudo Relevance Feedback with
# Deep Language Models and Dense Retrievers", TOIS 2023).
FEEDBACK_PASSAGES = 5
FEEDBACK_SHARE = 0.3

# Relevance model feedback on the words (RM3: Lavrenko and Croft, SIGIR 2001; Abdul-Jaleel et al., TREC 2004).
FEEDBACK_TERMS = 20


def inverse_document_frequency(chunks: int, containing: int) -> float:
    """The Robertson-Sparck Jones weight of a term that occurs in `containing` of `chunks` chunks; never negative."""
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
    """The convex combination of both lists, each normalized; an item missing from a list counts as its worst."""
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
    """The unit query vector moved toward the weighted center of `passages`, and scaled to unit length again."""
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


def feedback_terms(
    query: Mapping[str, float], passages: Sequence[Mapping[str, float]], weights: Sequence[float]
) -> dict[str, float]:
    """The query's words moved toward those of `passages`: term to weight, to be multiplied by the term's rarity again.

    `query` holds each term's count, `passages` each term's share of its passage times the term's rarity.
    """
    asked = sum(query.values())
    own = {term: count / asked for term, count in query.items()} if asked > 0 else {}
    found: dict[str, float] = {}
    for weight, passage in zip(weights, passages, strict=True):
        for term, share in passage.items():
            found[term] = found.get(term, 0.0) + weight * share
    chosen = {term: found[term] for term in best(found, FEEDBACK_TERMS)}
    total = sum(chosen.values())
    if total <= 0:
        return own
    moved = {term: (1 - FEEDBACK_SHARE) * share for term, share in own.items()}
    for term, weight in chosen.items():
        moved[term] = moved.get(term, 0.0) + FEEDBACK_SHARE * weight / total
    return moved
