"""Quotes: nine in ten jobs that were not used for one cost no more than it says."""

import random
from decimal import Decimal

import pytest

from core.forecasts.quotes import JOBS_MIN, Basis, Cell, at_most, choose
from core.rollups.collect import size_band
from core.rollups.sketch import SECONDS, USD

# How much a job costs, given the bytes of its input: (fixed, per byte, spread), all in US dollars.
KINDS = {"search": (0.0002, 0.0, 0.1), "chat": (0.0001, 2e-6, 0.4), "report": (0.05, 1e-5, 0.8)}


def job(source: random.Random, kind: str) -> tuple[int, float]:
    fixed, by_byte, spread = KINDS[kind]
    size = int(source.lognormvariate(7, 1.2)) + 1
    return size, (fixed + by_byte * size) * source.lognormvariate(0, spread)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("known", [60, 400, 4000])
def test_nine_in_ten_jobs_cost_no_more_than_the_quote(kind: str, known: int) -> None:
    covered = asked = 0
    for seed in range(30 if known < 1000 else 5):
        source = random.Random(f"{kind}{known}{seed}")
        cells: dict[int, dict[int, int]] = {}
        for size, usd in (job(source, kind) for _ in range(known)):
            cell = cells.setdefault(size_band(size), {})
            bucket = USD.bucket_of(usd)
            cell[bucket] = cell.get(bucket, 0) + 1
        found = [Cell(True, band, sum(cost.values()), cost) for band, cost in cells.items()]
        for size, usd in (job(source, kind) for _ in range(400)):
            _, sketch = choose(found, size_band(size))
            quoted = at_most(sketch, 0.9)
            assert quoted is not None
            covered += usd <= quoted
            asked += 1
    assert 0.85 <= covered / asked <= 0.95


def test_the_closest_kind_with_enough_jobs_is_taken() -> None:
    def cells(own: int, band: int, jobs: int) -> Cell:
        return Cell(bool(own), band, jobs, {band: jobs})

    enough = JOBS_MIN
    assert choose([cells(1, 6, enough), cells(0, 6, 9 * enough)], 6) == (Basis.PROJECT_AND_SIZE, {6: enough})
    assert choose([cells(1, 6, 9), cells(0, 7, enough)], 6)[0] is Basis.ORGANIZATION_AND_SIZE
    assert choose([cells(1, 6, 9), cells(1, 12, enough)], 6)[0] is Basis.PROJECT
    assert choose([cells(1, 6, 9), cells(0, 12, enough)], 6)[0] is Basis.ORGANIZATION
    assert choose([cells(1, 6, enough - 1)], 6) == (Basis.NONE, {})
    assert at_most({}, 0.9) is None


def test_what_costs_nothing_is_quoted_at_nothing() -> None:
    assert at_most({0: 100}, 0.9) == Decimal(0)


def test_a_sketch_is_within_five_percent() -> None:
    source = random.Random(7)
    values = sorted(source.lognormvariate(1, 1.5) for _ in range(5000))
    sketch = SECONDS.sketch_of(values)
    for share in (0.01, 0.5, 0.95, 0.999):
        true = values[max(0, int(share * len(values)) - 1)]
        assert SECONDS.quantile(sketch, share) == pytest.approx(true, rel=0.052)
