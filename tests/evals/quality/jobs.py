"""Simulated jobs: the signals of a capability that answers questions and calls tools, calm or worse.

Nothing here is measured on a model. Values are drawn, and then go through the code that watches real ones: baselines,
thresholds and statistics are those of `core.quality`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from core.quality.signals import DEFINITIONS, Signal
from core.quality.statistics.cusum import Baseline, scaled
from core.quality.statistics.stream import Stream

Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Values]
_START = datetime(2026, 11, 1, tzinfo=UTC)


def tosses(share: float) -> Draw:
    """0 or 1, independently."""
    return lambda rng, count: (rng.random(count) < share).astype(np.float64)


def quotes(share: float) -> Draw:
    """The verified part of one to four quotes. Those of a job resemble each other: some jobs are worse than others."""

    def draw(rng: np.random.Generator, count: int) -> Values:
        of_job = rng.beta(share * 8, (1 - share) * 8, count)
        given = rng.integers(1, 5, count)
        return rng.binomial(given, of_job) / given

    return draw


def ratings(share: float, rated: float) -> Draw:
    """Ratings of 0, 0.5 or 1; a part of the jobs has one, the others are left out (not a number)."""

    def draw(rng: np.random.Generator, count: int) -> Values:
        found = np.where(rng.random(count) < share, 1.0, rng.choice([0.0, 0.5], count))
        return np.where(rng.random(count) < rated, found, np.nan)

    return draw


def scores(mean: float) -> Draw:
    """Confidences."""
    return lambda rng, count: rng.beta(mean * 10, (1 - mean) * 10, count)


def lengths(middle: float, spread: float) -> Draw:
    """Lengths of texts, in characters."""
    return lambda rng, count: np.round(rng.lognormal(middle, spread, count))


CALM: Mapping[Signal, Draw] = {
    Signal.SUCCEEDED: tosses(0.985),
    Signal.RETRIED: tosses(0.03),
    Signal.QUOTES_VERIFIED: quotes(0.92),
    Signal.ABSTAINED: tosses(0.12),
    Signal.CONFIDENCE: scores(0.8),
    Signal.TOOL_FAILED: tosses(0.02),
    Signal.HANDED_OVER: tosses(0.2),
    Signal.FEEDBACK: ratings(0.8, 0.3),
    Signal.RESULT_LENGTH: lengths(6, 0.7),
    Signal.INPUT_LENGTH: lengths(5, 0.9),
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """The number of the job, from 1, and the signal that raised it."""

    job: int
    signal: Signal


def first_alarm(
    rng: np.random.Generator,
    drawn: Mapping[Signal, Draw],
    *,
    baseline_jobs: int,
    jobs: int,
    calm: Mapping[Signal, Draw],
) -> Alarm | None:
    """Watch `jobs` jobs of a new version that is compared with a calm one; the first alarm, if there is one."""
    alarms = [
        Alarm(number, signal)
        for signal, draw in drawn.items()
        if (number := _watch(rng, signal, calm[signal], draw, baseline_jobs, jobs)) is not None
    ]
    return min(alarms, key=lambda alarm: alarm.job, default=None)


def _watch(  # noqa: PLR0917 - one stream
    rng: np.random.Generator, signal: Signal, before: Draw, now: Draw, baseline_jobs: int, jobs: int
) -> int | None:
    definition = DEFINITIONS[signal]
    known = [scaled(definition.kind, value) for value in before(rng, baseline_jobs).tolist() if value == value]  # noqa: PLR0124 - not a number
    if len(known) < 300:
        return None
    values = np.asarray(known)
    stream = Stream()
    stream.inherit("before", Baseline(len(known), float(values.mean()), float(values.std(ddof=1))))
    for number, value in enumerate(now(rng, jobs).tolist(), start=1):
        if value != value:  # noqa: PLR0124 - not a number
            continue
        at = _START + timedelta(seconds=number)
        if stream.observe(definition, "now", value, at, is_watched=True) is not None:
            return number
    return None
