"""One signal of one version, job by job: learns its level, and detects when it has changed."""

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from core.quality.signals import Definition, Kind, Worse
from core.quality.statistics import thresholds
from core.quality.statistics.cusum import Baseline, Sums, good_share, increment, scaled, unscaled

# The number of jobs after which a version without a predecessor is its own baseline; doubled twice as more is known.
LEARN_JOBS = 500
_BLOCK = thresholds.BASELINE_MAX // 2


@dataclass(slots=True)
class Run:
    """The statistic in one direction, and the observations since it was last 0."""

    statistic: float = 0.0
    count: int = 0
    total: float = 0.0
    began_at: datetime | None = None

    def add(self, step: float, value: float, at: datetime) -> None:
        """Count one job."""
        if self.statistic + step <= 0:
            self.reset()
            return
        if self.began_at is None:
            self.began_at = at
        self.statistic += step
        self.count += 1
        self.total += value

    def reset(self) -> None:
        """Start from 0."""
        self.statistic, self.count, self.total, self.began_at = 0.0, 0, 0.0, None


@dataclass(frozen=True, slots=True)
class Change:
    """A signal's change from its baseline. Means are unscaled; `began_at` is the estimated change point."""

    direction: Worse
    is_worse: bool
    baseline: Baseline
    baseline_version: str
    baseline_mean: float
    observed_mean: float
    observed_jobs: int
    evidence: float
    threshold: float
    began_at: datetime


@dataclass(slots=True)
class Stream:
    """The state of one stream.

    `recent` and `previous` are blocks of observations, from which a successor's baseline is made. `own_jobs`: the
    number of its own jobs that the baseline was learned from; 0 when it is a predecessor's.
    """

    baseline: Baseline | None = None
    baseline_version: str = ""
    own_jobs: int = 0
    recent: Sums = field(default_factory=Sums)
    previous: Sums = field(default_factory=Sums)
    lower: Run = field(default_factory=Run)
    higher: Run = field(default_factory=Run)

    @property
    def known(self) -> Sums:
        """The last observations, up to `thresholds.BASELINE_MAX`."""
        return self.recent + self.previous

    def inherit(self, version: str, baseline: Baseline) -> None:
        """Use another version's level as the baseline."""
        self.baseline, self.baseline_version, self.own_jobs = baseline, version, 0

    def observe(
        self, definition: Definition, version: str, value: float, at: datetime, *, is_watched: bool
    ) -> Change | None:
        """Count a job's signal. Unless `is_watched`, it is learned from and raises nothing."""
        x = scaled(definition.kind, value)
        self.recent.add(x)
        change = None
        if is_watched and definition.is_watched and self.baseline is not None:
            change = self._judge(definition, x, at)
        else:
            self.lower.reset()
            self.higher.reset()
        if change is None:
            self._learn(version)
        if self.recent.count >= _BLOCK:
            self.previous, self.recent = self.recent, Sums()
        return change

    def restart(self) -> None:
        """Accept the current level: learn a new baseline from the next job on."""
        self.baseline, self.own_jobs = None, 0
        self.recent, self.previous = Sums(), Sums()
        self.lower.reset()
        self.higher.reset()

    def as_json(self) -> dict[str, Any]:
        """The state as JSON values."""
        values = asdict(self)
        for name in ("lower", "higher"):
            began = values[name]["began_at"]
            values[name]["began_at"] = None if began is None else began.isoformat()
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Stream":
        """The state behind `as_json`."""
        return cls(
            None if values["baseline"] is None else Baseline(**values["baseline"]),
            values["baseline_version"],
            values["own_jobs"],
            Sums(**values["recent"]),
            Sums(**values["previous"]),
            _to_run(values["lower"]),
            _to_run(values["higher"]),
        )

    def _learn(self, version: str) -> None:
        if self.baseline is not None and (not self.own_jobs or self.own_jobs >= thresholds.BASELINE_MAX):
            return
        known = self.known
        if known.count >= max(LEARN_JOBS, 2 * self.own_jobs):
            self.baseline, self.baseline_version, self.own_jobs = Baseline.of(known), version, known.count

    def _judge(self, definition: Definition, x: float, at: datetime) -> Change | None:
        assert self.baseline is not None
        worse = definition.worse
        directions = (Worse.LOWER, Worse.HIGHER) if worse is Worse.EITHER else (worse,)
        for direction in directions:
            run = self.lower if direction is Worse.LOWER else self.higher
            run.add(increment(definition.kind, direction, self.baseline, x), x, at)
            threshold = _threshold(definition.kind, direction, self.baseline)
            if run.statistic >= threshold and run.began_at is not None:
                change = Change(
                    direction,
                    worse is not Worse.EITHER,
                    self.baseline,
                    self.baseline_version,
                    unscaled(definition.kind, self.baseline.mean),
                    unscaled(definition.kind, run.total / run.count),
                    run.count,
                    run.statistic,
                    threshold,
                    run.began_at,
                )
                self.lower.reset()
                self.higher.reset()
                return change
        return None


def _threshold(kind: Kind, direction: Worse, baseline: Baseline) -> float:
    if kind is Kind.MEAN:
        return thresholds.of_mean(baseline.jobs)
    return thresholds.of_rate(good_share(direction, baseline), baseline.jobs)


def _to_run(values: dict[str, Any]) -> Run:
    began = values["began_at"]
    return Run(
        values["statistic"],
        values["count"],
        values["total"],
        None if began is None else datetime.fromisoformat(began),
    )
