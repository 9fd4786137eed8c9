"""Scores of a result's quality that need no model, for the job's span."""

from collections.abc import Iterator, Mapping
from typing import Any

QUOTES_VERIFIED = "quotes_verified"


def scores_of(result: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Names of evaluations and their scores, from 0 to 1.

    ``quotes_verified``: the share of a model's quotes that occur word for word in its sources, for results
    with ``citations`` and ``dropped_quotes``.
    """
    verified, dropped = result.get("citations"), result.get("dropped_quotes")
    if isinstance(verified, list) and isinstance(dropped, int) and len(verified) + dropped:
        yield QUOTES_VERIFIED, len(verified) / (len(verified) + dropped)
