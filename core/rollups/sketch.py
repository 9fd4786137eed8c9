"""Mergeable distributions: counts by bucket of a logarithmic scale, as in DDSketch.

Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees" (VLDB 2019).
A quantile read from a sketch is within the scale's accuracy of the true one, however many sketches were added. Postgres
adds them with ``rollup_add``.
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
        """The bucket of a non-negative value; 0 for a value that does not exceed the floor."""
        return 0 if value <= self.floor else math.ceil(math.log(value / self.floor) / self._log_gamma)

    def sketch_of(self, values: Iterable[float]) -> dict[int, int]:
        """The sketch of non-negative values."""
        return dict(Counter(map(self.bucket_of, values)))

    def quantile(self, sketch: Sketch, share: float) -> float | None:
        """The value that `share` of the values do not exceed; 0 below the floor, None for an empty sketch."""
        bucket = _bucket_at(sketch, share)
        if not bucket:
            return None if bucket is None else 0.0
        return 2 * self.floor * self._gamma**bucket / (self._gamma + 1)

    def upper_bound(self, sketch: Sketch, share: float) -> float | None:
        """A value that at least `share` of the values do not exceed, too high by at most twice the accuracy."""
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


# Values up to a millisecond, or up to a billionth of a dollar, share one bucket.
SECONDS = Scale(0.001, 0.05)
USD = Scale(1e-9, 0.01)


def add(sketches: Iterable[Sketch]) -> dict[int, int]:
    """The sum of several sketches."""
    total: Counter[int] = Counter()
    for sketch in sketches:
        total.update(sketch)
    return dict(total)


def from_json(stored: Mapping[str, int]) -> dict[int, int]:
    """A sketch from the JSON that Postgres stores."""
    return {int(bucket): int(count) for bucket, count in stored.items()}


def _bucket_at(sketch: Sketch, share: float) -> int | None:
    rank = math.ceil(share * sum(sketch.values()))
    seen = 0
    for bucket in sorted(sketch):
        seen += sketch[bucket]
        if seen >= max(rank, 1):
            return bucket
    return None
