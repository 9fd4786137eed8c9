"""The steps from one release to the next: a canary beside the stable release, step by step, and the way back."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, sleep

from infra.rollout.cluster import Cluster
from infra.rollout.judgment import Limits
from infra.rollout.prometheus import Measured, NoAnswer, Prometheus, Target

# Fewer than two scrapes show no change.
_WINDOW_MIN_SECONDS = 60


class NotBegun(Exception):
    """There is no baseline for a canary; nothing was changed."""


class Breach(Exception):
    """The canary exceeds a limit, or it cannot be judged."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The release and target, the number of pods, the shares of requests in percent, and how long each is watched."""

    tag: str
    replicas: Mapping[Target, int]
    weights: Sequence[int]
    observe_seconds: int
    interval_seconds: float

    def canary(self, weight: int) -> dict[str, int | str]:
        """The chart's values while the canary runs at that share."""
        values: dict[str, int | str] = {"migrate.tag": self.tag}
        for target, replicas in self.replicas.items():
            values[f"{_row(target)}.canary.tag"] = self.tag
            values[f"{_row(target)}.canary.replicas"] = replicas
            if target.is_api:
                values["api.canary.weight"] = weight
        return values

    def end(self) -> dict[str, int | str]:
        """The chart's values without a canary."""
        values: dict[str, int | str] = {"migrate.tag": "", "api.canary.weight": 0}
        return values | {f"{_row(target)}.canary.replicas": 0 for target in self.replicas}


class Rollout:
    """Carries out a plan. Raises `Breach`, or the cluster's errors, halfway: the caller then rolls back."""

    def __init__(
        self, cluster: Cluster, prometheus: Prometheus, limits: Limits, plan: Plan, report: Callable[[str], None]
    ) -> None:
        self._cluster = cluster
        self._prometheus = prometheus
        self._limits = limits
        self._plan = plan
        self._report = report
        self._before: dict[Target, Measured] = {}

    def look(self) -> None:
        """Measure the current state. Raises `NotBegun`."""
        for target in self._plan.replicas:
            try:
                measured = self._prometheus.measure(target, self._plan.observe_seconds)
            except NoAnswer as error:
                raise NotBegun(f"Prometheus does not answer: {error}") from error
            if measured is None:
                raise NotBegun(f"Prometheus has counted nothing of {target.process} in {self._plan.observe_seconds} s")
            self._before[target] = measured
            self._report(f"{target.name} now: {measured}")

    def run(self) -> None:
        """Start the canary, raise its share, make it the release, and remove it."""
        for number, weight in enumerate(self._plan.weights):
            self._report(f"step {number + 1} of {len(self._plan.weights)}: {weight} % of the requests")
            self._cluster.upgrade(self._plan.canary(weight), migrates=number == 0)
            self._watch({target: target.canary for target in self._plan.replicas}, f"canary at {weight} %")
        self._report(f"{self._plan.tag} becomes the release")
        self._cluster.upgrade({"images.tag": self._plan.tag}, migrates=False)
        self._watch({target: target for target in self._plan.replicas}, "the release")
        self._cluster.upgrade(self._plan.end(), migrates=False)

    def _watch(self, watched: Mapping[Target, Target], what: str) -> None:
        """Judge repeatedly until the step is over. Raises `Breach`."""
        if self._cluster.is_rehearsal:
            return
        began = monotonic()
        is_over = False
        while not is_over:
            sleep(self._plan.interval_seconds)
            elapsed = monotonic() - began
            is_over = elapsed >= self._plan.observe_seconds
            window = max(_WINDOW_MIN_SECONDS, round(elapsed))
            for stable, process in watched.items():
                self._judge(stable, process, window, what, is_over=is_over)

    def _judge(self, stable: Target, process: Target, window: int, what: str, *, is_over: bool) -> None:
        try:
            found = self._prometheus.measure(process, window)
            # In a step to 100 percent the stable release gets no requests: its figures from before the rollout count.
            beside = None if process == stable else self._prometheus.measure(stable, window)
        except NoAnswer as error:
            if is_over:
                raise Breach(f"Prometheus does not answer: {error}") from error
            return
        if found is None or not self._limits.is_enough(stable, found):
            if is_over:
                raise Breach(f"{process.process}: too little happened to judge it ({found or 'nothing'})")
            return
        compared = beside if self._limits.is_enough(stable, beside) and beside else self._before[stable]
        self._report(f"{what}: {stable.name} {found}; compared with {compared}")
        breaches = self._limits.breaches(stable, found, compared)
        if breaches:
            raise Breach("; ".join(breaches))


def _row(target: Target) -> str:
    return "api" if target.is_api else f"pools.{target.name}"
