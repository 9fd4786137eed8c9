"""Distributions that can be added: counts by bucket of a logarithmic scale, as DDSketch keeps them.

Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees" (VLDB 2019).
A quantile that is read from one is within `ACCURACY` of the true one, however many sketches were added. Postgres adds
them with ``rollup_add``.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping

ACCURACY = 0.05
# Below it everything is one bucket: a millisecond for times, a billionth of a dollar for money.
SECONDS_FLOOR = 0.001
USD_FLOOR = 1e-9
_GAMMA = (1 + ACCURACY) / (1 - ACCURACY)
_LOG_GAMMA = math.log(_GAMMA)

Sketch = Mapping[int, int]


def bucket_of(value: float, floor: float) -> int:
    """The bucket of a value that is not negative; 0 for what does not exceed `floor`."""
    return 0 if value <= floor else math.ceil(math.log(value / floor) / _LOG_GAMMA)


def sketch_of(values: Iterable[float], floor: float) -> dict[int, int]:
    """The sketch of some values, none of them negative."""
    return dict(Counter(bucket_of(value, floor) for value in values))


def add(sketches: Iterable[Sketch]) -> dict[int, int]:
    """The sketch of all values of several."""
    total: Counter[int] = Counter()
    for sketch in sketches:
        total.update(sketch)
    return dict(total)


def from_json(stored: Mapping[str, int]) -> dict[int, int]:
    """A sketch as Postgres keeps it, in JSON."""
    return {int(bucket): int(count) for bucket, count in stored.items()}


def quantile(sketch: Sketch, share: float, floor: float) -> float | None:
    """The value that `share` of the values do not exceed, within `ACCURACY`; None for an empty sketch.

    For a bucket that holds everything up to `floor`, that is 0.
    """
    bucket = _bucket_at(sketch, share)
    if bucket is None or bucket == 0:
        return None if bucket is None else 0.0
    return 2 * floor * _GAMMA**bucket / (_GAMMA + 1)


def upper_bound(sketch: Sketch, share: float, floor: float) -> float | None:
    """A value that at least `share` of the values do not exceed, at most twice `ACCURACY` above the least such."""
    bucket = _bucket_at(sketch, share)
    return None if bucket is None else floor * _GAMMA**bucket


def _bucket_at(sketch: Sketch, share: float) -> int | None:
    rank = math.ceil(share * sum(sketch.values()))
    seen = 0
    for bucket in sorted(sketch):
        seen += sketch[bucket]
        if seen >= max(rank, 1):
            return bucket
    return None
