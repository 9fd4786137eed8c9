"""Intervals cover what they promise; a calm stream is calm, and one that changes says so, when and how."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from core.quality.reading import words_of
from core.quality.signals import DEFINITIONS, Kind, Signal
from core.quality.statistics import thresholds
from core.quality.statistics.cusum import Baseline, Sums
from core.quality.statistics.drift import REFERENCE_JOBS, WINDOW_JOBS, compare
from core.quality.statistics.intervals import design_effect, interval_of, wilson
from core.quality.statistics.stream import LEARN_JOBS, Change, Stream
from core.registry.experiments.statistics.moments import Moments

START = datetime(2026, 11, 1, tzinfo=UTC)


def run(stream: Stream, signal: Signal, values: list[float], version: str = "new") -> tuple[int, Change] | None:
    """The number of the job that raised an alert, from 1, with what it says."""
    for number, value in enumerate(values, start=1):
        at = START + timedelta(seconds=number)
        change = stream.observe(DEFINITIONS[signal], version, value, at, is_watched=True)
        if change is not None:
            return number, change
    return None


def tosses(rng: random.Random, share: float, count: int) -> list[float]:
    return [float(rng.random() < share) for _ in range(count)]


def learned(signal: Signal, values: list[float]) -> Stream:
    stream = Stream()
    assert run(stream, signal, values, "old") is None
    return stream


def test_wilsons_interval_is_that_of_the_book() -> None:
    # R. G. Newcombe, Stat. Med. 17 (1998), table I, method 3.
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson(0, 20)[0] == 0
    assert round(wilson(0, 20)[1], 4) == 0.1611
    assert wilson(0, 0) == (0.0, 1.0)


def test_cases_of_one_job_that_resemble_each_other_widen_the_interval() -> None:
    # 100 jobs with ten quotes each, all good or all bad: as uncertain as 100 tosses, not as 1,000.
    alike = Moments(100, 1000, 800, 80 * 100.0, 80 * 100.0, 100 * 100.0)
    assert design_effect(alike) == pytest.approx(10, rel=0.05)
    found = interval_of(Kind.RATE, alike)
    low, high = wilson(80, 100)
    assert found.low == pytest.approx(low, abs=0.01)
    assert found.high == pytest.approx(high, abs=0.01)
    alone = Moments(1000, 1000, 800, 800.0, 800.0, 1000.0)
    assert design_effect(alone) == 1


def test_a_worse_version_is_found_with_when_and_how_much() -> None:
    rng = random.Random(5)
    before = learned(Signal.QUOTES_VERIFIED, tosses(rng, 0.92, 1500))
    assert before.baseline is not None
    worse = Stream()
    worse.inherit("old", before.baseline)
    assert run(worse, Signal.QUOTES_VERIFIED, tosses(rng, 0.92, 300)) is None
    found = run(worse, Signal.QUOTES_VERIFIED, tosses(rng, 0.8, 500))
    assert found is not None
    number, change = found
    assert change.is_worse
    assert change.direction == "lower"
    assert change.baseline_version == "old"
    assert change.observed_mean < 0.86
    assert change.baseline_mean > 0.9
    assert change.evidence >= change.threshold
    assert change.began_at > START
    assert number < 500
    # The state survives being stored.
    assert Stream.from_json(worse.as_json()) == worse


def test_a_rate_that_should_be_low_alarms_when_it_rises_and_not_when_it_falls() -> None:
    rng = random.Random(6)
    stream = learned(Signal.ABSTAINED, tosses(rng, 0.2, LEARN_JOBS))
    assert run(stream, Signal.ABSTAINED, tosses(rng, 0.05, 500)) is None
    found = run(stream, Signal.ABSTAINED, tosses(rng, 0.4, 300))
    assert found is not None
    assert found[1].direction == "higher"


def test_lengths_drift_both_ways_and_one_huge_text_is_no_drift() -> None:
    rng = random.Random(7)

    def lengths(middle: float, count: int) -> list[float]:
        return [rng.lognormvariate(middle, 0.8) for _ in range(count)]

    for change in (0.4, -0.4):
        stream = learned(Signal.INPUT_LENGTH, lengths(5, 1000))
        assert run(stream, Signal.INPUT_LENGTH, [*lengths(5, 100), 1e9, *lengths(5, 100)]) is None
        found = run(stream, Signal.INPUT_LENGTH, lengths(5 + change, 500))
        assert found is not None
        assert not found[1].is_worse
        assert found[1].direction == ("higher" if change > 0 else "lower")


def test_what_is_not_watched_is_learned_from_and_raises_nothing() -> None:
    rng = random.Random(8)
    stream = learned(Signal.QUOTES_VERIFIED, tosses(rng, 0.95, 600))
    for value in tosses(rng, 0.5, 300):
        assert stream.observe(DEFINITIONS[Signal.QUOTES_VERIFIED], "v", value, START, is_watched=False) is None
    assert stream.lower.statistic == 0
    assert stream.known.count == 900
    stream.restart()
    assert run(stream, Signal.QUOTES_VERIFIED, tosses(rng, 0.5, 600)) is None
    assert stream.baseline is not None
    assert stream.baseline.mean == pytest.approx(0.5, abs=0.06)


def test_a_baseline_is_learned_from_at_most_eight_thousand_jobs() -> None:
    rng = random.Random(9)
    stream = learned(Signal.QUOTES_VERIFIED, tosses(rng, 0.9, 8500))
    assert stream.own_jobs == thresholds.BASELINE_MAX
    assert stream.known.count <= thresholds.BASELINE_MAX
    with pytest.raises(ValueError, match="at least 300"):
        thresholds.of_rate(0.9, 299)


def found_within_500(share: float, loss: float, baseline_jobs: int) -> float:
    rng, found = random.Random(11), 0
    for _ in range(100):
        good = sum(rng.random() < share for _ in range(baseline_jobs))
        stream = Stream()
        stream.inherit("old", Baseline.of(Sums(baseline_jobs, good, good)))
        found += run(stream, Signal.SUCCEEDED, tosses(rng, share - loss, 500)) is not None
    return found / 100


def test_of_versions_eight_points_worse_most_are_found_and_a_longer_baseline_finds_more() -> None:
    assert found_within_500(0.8, 0.08, 8000) > max(0.85, found_within_500(0.8, 0.08, 1000))
    assert found_within_500(0.8, 0.0, 8000) <= 0.02


def test_drift_of_words_is_found_and_names_the_unlikeliest_inputs() -> None:
    rng = random.Random(10)
    # As in language, few words are frequent; subjects share the most frequent ones.
    weights = [1 / rank for rank in range(1, 301)]
    parcels = [f"common{rank}" if rank < 10 else f"parcel{rank}" for rank in range(300)]
    taxes = [f"common{rank}" if rank < 10 else f"tax{rank}" for rank in range(300)]

    def texts(words: list[str], count: int) -> list[bytes]:
        made = [words_of({"query": " ".join(rng.choices(words, weights, k=20))}) for _ in range(count)]
        return [each for each in made if each is not None]

    reference = texts(parcels, REFERENCE_JOBS)
    assert not compare(reference, texts(parcels, WINDOW_JOBS), seed=1).is_drift
    mixed = [*texts(taxes, 60), *texts(parcels, WINDOW_JOBS - 60)]
    found = compare(reference, mixed, seed=1)
    assert found.is_drift
    assert sum(place < 60 for place in found.unlikeliest) >= 7
    assert found == compare(reference, mixed, seed=1)


def test_no_word_can_be_read_from_what_is_stored() -> None:
    stored = words_of({"query": "secret parcel secret", "knowledge_base": "kb_x"})
    assert stored is not None
    assert len(stored) == 512
    assert sorted(value for value in stored if value) == [147, 208]
    assert words_of({"query": "?!", "knowledge_base": "kb_x"}) is None
