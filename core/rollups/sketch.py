"""Distributions that can be added: counts by bucket of a logarithmic scale, as DDSketch keeps them.

Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees" (VLDB 2019).
A quantile that is read from one is within the scale's accuracy of the true one, however many sketches were added.
Postgres adds them with ``rollup_add``.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

Sketch = Mapping[int, int]


@dataclass(frozen=True)
class Scale:
    """Buckets for values above `floor`; a value read from a bucket is within the share `accuracy` of the true one."""

    floor: float
    accuracy: float

    def bucket_of(self, value: float) -> int:
        """The bucket of a value that is not negative; 0 for what does not exceed the floor."""
        return 0 if value <= self.floor else math.ceil(math.log(value / self.floor) / self._log_gamma)

    def sketch_of(self, values: Iterable[float]) -> dict[int, int]:
        """The sketch of some values, none of them negative."""
        return dict(Counter(map(self.bucket_of, values)))

    def quantile(self, sketch: Sketch, share: float) -> float | None:
        """The value that `share` of the values do not exceed; 0 below the floor, None for an empty sketch."""
        bucket = _bucket_at(sketch, share)
        if not bucket:
            return None if bucket is None else 0.0
        return 2 * self.floor * self._gamma**bucket / (self._gamma + 1)

    def upper_bound(self, sketch: Sketch, share: float) -> float | None:
        """A value that at least `share` of the values do not exceed, by at most twice the accuracy too high."""
        bucket = _bucket_at(sketch, share)
        if not bucket:
            return None if bucket is None else 0.0
        return self.floor * self._gamma**bucket

    @cached_property
    def _gamma(self) -> float:
        return (1 + self.accuracy) / (1 - self.accuracy)

    @cached_property
    def _log_gamma(self) -> float:
        return math.log(self._gamma)


# Up to a millisecond, and up to a billionth of a dollar, everything is one bucket.
SECONDS = Scale(0.001, 0.05)
USD = Scale(1e-9, 0.01)


def add(sketches: Iterable[Sketch]) -> dict[int, int]:
    """The sketch of all values of several."""
    total: Counter[int] = Counter()
    for sketch in sketches:
        total.update(sketch)
    return dict(total)


def from_json(stored: Mapping[str, int]) -> dict[int, int]:
    """A sketch as Postgres keeps it, in JSON."""
    return {int(bucket): int(count) for bucket, count in stored.items()}


def _bucket_at(sketch: Sketch, share: float) -> int | None:
    rank = math.ceil(share * sum(sketch.values()))
    seen = 0
    for bucket in sorted(sketch):
        seen += sketch[bucket]
        if seen >= max(rank, 1):
            return bucket
    return None
