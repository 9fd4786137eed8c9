"""How soon a version that answers 8 points worse is found, and how often a calm one raises an alarm.

    python -m tests.evals.quality [--series 2000] [--seed 1]

Every series is 500 jobs of a new version beside a baseline of 8,000 of the version before, as much as is kept of one,
with ten watched signals, through the code that watches real jobs. Inputs are real messages
(`tests/evals/quality/inputs.py`); everything else is drawn (`tests/evals/quality/jobs.py`). Exit code 1 when more than
5 % of the calm series raise an alarm, or fewer than 90 % of the versions whose quotes are 8 points worse are found.
"""

import argparse
import math
import statistics
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import NormalDist

import numpy as np

from core.quality.signals import Signal
from core.quality.statistics.thresholds import BASELINE_MAX
from tests.evals.quality import agreement, inputs
from tests.evals.quality.jobs import CALM, Alarm, Draw, first_alarm, quotes, tosses
from tests.evals.scores import Row, missed, publish

JOBS, CALM_MAX, FOUND_MIN = 500, 0.05, 0.9
_ALARMS_OF_A_SIGNAL = 0.0045
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
    rows = [_calm_row("ten signals", given.series, len(calm))]
    found = decayed(rng, few, {Signal.QUOTES_VERIFIED: quotes(0.92 - _LOSS)})
    _say(f"quotes_verified falls from 0.92 to 0.84, k of n quotes: {_words(found, few)}")
    rows.append(_found_row("verified quotes, k of n, 0.92 to 0.84", few, len(found), mark=FOUND_MIN))
    for share in (0.98, 0.95, 0.9, 0.85, 0.8, 0.7):
        found = decayed(rng, few, {Signal.SUCCEEDED: tosses(share - _LOSS)}, tosses(share))
        most = most_that_can_be_found(share, _LOSS)
        what = f"a signal that is 0 or 1, {share} to {share - _LOSS:.2f}"
        _say(f"{what}: {_words(found, few)}; no test finds more than {most:.0%}")
        rows.append(_found_row(what, few, len(found), most))
    usual, others, refunds, questions = inputs.read()
    quiet = [inputs.first_drift(rng, usual, others, 0, JOBS) for _ in range(given.series)]
    drifted = sum(each is not None for each in quiet)
    rows.append(_calm_row("inputs", given.series, drifted))
    _say(f"calm inputs: {drifted} of {given.series} series of {JOBS} raise an alarm ({drifted / given.series:.1%})")
    for name, other in (
        ("questions about documents", questions),
        ("requests for a refund", refunds),
        ("of other authors, about the same", others),
    ):
        for share in (0.1, 0.2, 0.3, 0.5):
            at = [inputs.first_drift(rng, usual, other, share, JOBS) for _ in range(few)]
            seen = [each for each in at if each]
            _say(f"{share:.0%} of the inputs {name}: {_words(seen, few)}")
            rows.append(_found_row(f"{share:.0%} of the inputs {name}", few, len(seen)))
    rows += agreement.rows_of(agreement.read())
    publish("quality", rows)
    return int(bool(missed(rows)))


def _calm_row(what: str, series: int, alarms: int) -> Row:
    return Row(f"calm, {what}", "drawn", "no alarm within 500 jobs", series, 1 - alarms / series, mark=1 - CALM_MAX)


def _found_row(what: str, series: int, found: int, most: float | None = None, mark: float | None = None) -> Row:
    beside = "" if most is None else "most that any test finds"
    return Row(what, "drawn", "found within 500 jobs", series, found / series, most, beside, mark)


def calm_alarms(rng: np.random.Generator, series: int, baseline_jobs: int = BASELINE_MAX) -> list[Alarm]:
    """The alarms of series in which nothing changes."""
    alarms = (first_alarm(rng, CALM, baseline_jobs=baseline_jobs, jobs=JOBS, calm=CALM) for _ in range(series))
    return [alarm for alarm in alarms if alarm is not None]


def decayed(
    rng: np.random.Generator,
    series: int,
    drawn: Mapping[Signal, Draw],
    before: Draw | None = None,
    baseline_jobs: int = BASELINE_MAX,
) -> list[int]:
    """At which jobs series of the signals `drawn` are found; `before` is what they were, else as in `CALM`."""
    calm = CALM if before is None else dict.fromkeys(drawn, before)
    alarms = (first_alarm(rng, drawn, baseline_jobs=baseline_jobs, jobs=JOBS, calm=calm) for _ in range(series))
    return [alarm.job for alarm in alarms if alarm is not None]


def most_that_can_be_found(share: float, loss: float, baseline_jobs: int = BASELINE_MAX) -> float:
    """The power of the best test that looks once, after the last job, and alarms as rarely as ours does.

    The most powerful test of two shares compares their difference with its standard error (Neyman and Pearson, 1933;
    normal approximation); one that may stop earlier finds no more.
    """
    normal, now = NormalDist(), share - loss
    calm = share * (1 - share) * (1 / JOBS + 1 / baseline_jobs)
    worse = now * (1 - now) / JOBS + share * (1 - share) / baseline_jobs
    return normal.cdf((loss - normal.inv_cdf(1 - _ALARMS_OF_A_SIGNAL) * math.sqrt(calm)) / math.sqrt(worse))


def _words(found: Sequence[int], series: int) -> str:
    median = f", half of them within {statistics.median(found):.0f}" if found else ""
    return f"{len(found) / series:.1%} of {series} found within {JOBS} jobs{median}"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
