"""How soon a version that answers 8 points worse is found, and how often a calm one raises an alarm.

    python -m tests.evals.quality [--series 2000] [--seed 1]

Every series is 500 jobs of a new version beside a baseline of 2,000 of the version before, with ten watched signals,
through the code that watches real jobs. Inputs are real messages (`tests/evals/quality/inputs.py`); everything else is
drawn (`tests/evals/quality/jobs.py`). Exit code 1 when more than 5 % of the calm series raise an alarm, or fewer than
90 % of the versions whose quotes are 8 points worse are found.
"""

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from core.quality.signals import Signal
from tests.evals.quality import inputs
from tests.evals.quality.jobs import CALM, Alarm, Draw, first_alarm, quotes, tosses

JOBS, BASELINE_JOBS, CALM_MAX, FOUND_MIN = 500, 2000, 0.05, 0.9
_LOSS = 0.08


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="tests.evals.quality")
    parser.add_argument("--series", type=int, default=2000, help="how many calm series; a tenth of it of each other")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    rng = np.random.default_rng(given.seed)
    few = max(20, given.series // 10)
    calm = calm_alarms(rng, given.series)
    _say(f"calm: {len(calm)} of {given.series} series of {JOBS} jobs raise an alarm ({len(calm) / given.series:.1%})")
    for signal, count in Counter(alarm.signal for alarm in calm).most_common():
        _say(f"    {signal}: {count}")
    found = decayed(rng, few, {**CALM, Signal.QUOTES_VERIFIED: quotes(0.92 - _LOSS)}, Signal.QUOTES_VERIFIED)
    _say(f"quotes_verified falls from 0.92 to 0.84, k of n quotes: {_words(found, few)}")
    for share in (0.98, 0.95, 0.9, 0.85, 0.8, 0.7):
        single = list(single_signal(rng, few, share))
        _say(f"a signal that is 0 or 1 falls from {share} to {share - _LOSS:.2f}: {_words(single, few)}")
    usual, others, refunds, questions = inputs.read()
    quiet = [inputs.first_drift(rng, usual, others, 0, JOBS) for _ in range(given.series)]
    drifted = sum(each is not None for each in quiet)
    _say(f"calm inputs: {drifted} of {given.series} series of {JOBS} raise an alarm ({drifted / given.series:.1%})")
    for name, other in (
        ("questions about documents", questions),
        ("requests for a refund", refunds),
        ("of other authors, about the same", others),
    ):
        for share in (0.1, 0.2, 0.3, 0.5):
            at = [inputs.first_drift(rng, usual, other, share, JOBS) for _ in range(few)]
            _say(f"{share:.0%} of the inputs {name}: {_words([each for each in at if each], few)}")
    is_good = len(calm) <= CALM_MAX * given.series and drifted <= CALM_MAX * given.series
    return 0 if is_good and len(found) >= FOUND_MIN * few else 1


def calm_alarms(rng: np.random.Generator, series: int) -> list[Alarm]:
    """The alarms of series in which nothing changes."""
    alarms = (first_alarm(rng, CALM, baseline_jobs=BASELINE_JOBS, jobs=JOBS, calm=CALM) for _ in range(series))
    return [alarm for alarm in alarms if alarm is not None]


def decayed(rng: np.random.Generator, series: int, drawn: Mapping[Signal, Draw], signal: Signal) -> list[int]:
    """At which jobs series in which `signal` is worse are found, by that signal."""
    only = {signal: drawn[signal]}
    alarms = (first_alarm(rng, only, baseline_jobs=BASELINE_JOBS, jobs=JOBS, calm=CALM) for _ in range(series))
    return [alarm.job for alarm in alarms if alarm is not None]


def single_signal(rng: np.random.Generator, series: int, share: float) -> Iterator[int]:
    """The same for a signal that is 0 or 1 and falls from `share`."""
    calm, worse = {Signal.SUCCEEDED: tosses(share)}, {Signal.SUCCEEDED: tosses(share - _LOSS)}
    for _ in range(series):
        alarm = first_alarm(rng, worse, baseline_jobs=BASELINE_JOBS, jobs=JOBS, calm=calm)
        if alarm is not None:
            yield alarm.job


def _words(found: Sequence[int], series: int) -> str:
    median = f", half of them within {statistics.median(found):.0f}" if found else ""
    return f"{len(found) / series:.1%} of {series} found within {JOBS} jobs{median}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
