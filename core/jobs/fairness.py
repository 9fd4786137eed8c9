"""Which job runs next: organizations in turn, then their projects by weight, then priority and age, within every limit.

Stride scheduling (Waldspurger and Weihl, "Stride Scheduling: Deterministic Proportional-Share Resource Management",
MIT/LCS/TM-528, 1995) on two levels: each organization, and within it each project, has a *pass* that grows by 1/weight
with every job it gets; the lowest goes next. A priority orders the jobs of one project and nothing else, so that no
tenant can overtake another by raising a priority.
"""

from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from uuid import UUID

from core.jobs.queue import DueJob

_EVICT_ABOVE = 10_000
HORIZON_SECONDS = 0.05


class _Stride:
    """The passes of the organizations or projects that share one resource."""

    def __init__(self) -> None:
        self._passes: dict[UUID, float] = {}
        self._now = 0.0

    def lowest(self, candidates: Iterable[UUID]) -> UUID:
        """The next of `candidates`."""
        return min(candidates, key=lambda each: (self._pass(each), each))

    def advance(self, who: UUID, weight: float) -> None:
        """Record that `who` got a job."""
        started = self._pass(who)
        self._now = started
        self._passes[who] = started + 1 / weight
        if len(self._passes) > _EVICT_ABOVE:
            self._passes = {known: value for known, value in self._passes.items() if value > self._now}

    def _pass(self, who: UUID) -> float:
        # An idle one starts at the current pass: it accumulates no claim while idle.
        return max(self._passes.get(who, 0.0), self._now)


class FairShare:
    """The scheduling state of one pool's dispatcher. Losing it costs a moment of fairness and nothing else.

    `weights` are the operator's, by organization; the default is 1.
    """

    def __init__(self, weights: Mapping[UUID, int] | None = None) -> None:
        self._weights = weights or {}
        self._organizations = _Stride()
        self._projects: dict[UUID, _Stride] = {}

    def choose(
        self,
        due: Sequence[DueJob],
        *,
        slots: int,
        in_flight: Mapping[UUID, int],
        limits: Mapping[UUID, int],
        default_limit: int,
    ) -> list[UUID]:
        """At most `slots` of the `due` jobs, in the order in which they should run.

        `due` holds the jobs of each project and priority in their order. `in_flight` counts jobs that are dispatched or
        running anywhere, and `limits` caps them, by the ids of organizations, projects and keys. A project at its limit
        (its own, or `default_limit`), or of an organization at its limit, is passed over; so are, within a project, the
        jobs of a key at its limit.
        """
        chosen: list[UUID] = []
        taken = Counter(in_flight)

        def is_full(scope_id: UUID | None) -> bool:
            return scope_id is not None and scope_id in limits and taken[scope_id] >= limits[scope_id]

        def is_open(job: DueJob) -> bool:
            return taken[job.project_id] < (job.max_concurrent_jobs or default_limit) and not is_full(job.project_id)

        waiting: dict[UUID, dict[UUID, deque[DueJob]]] = {}
        for job in sorted(due, key=lambda job: job.priority):
            waiting.setdefault(job.organization_id, {}).setdefault(job.project_id, deque()).append(job)
        while waiting and len(chosen) < slots:
            organization = self._organizations.lowest(waiting)
            queues = waiting[organization]
            if not queues or is_full(organization):
                del waiting[organization]
                continue
            shares = self._shares_within(organization)
            project = shares.lowest(queues)
            queue = queues[project]
            if not queue or not is_open(queue[0]):
                del queues[project]
                continue
            job = queue.popleft()
            if is_full(job.key_id):
                continue
            chosen.append(job.id)
            # A set: one id may stand for two of these.
            taken.update({each for each in (organization, project, job.key_id) if each is not None})
            shares.advance(project, job.weight)
            self._organizations.advance(organization, self._weights.get(organization, 1))
        return chosen

    def _shares_within(self, organization: UUID) -> _Stride:
        if organization not in self._projects and len(self._projects) >= _EVICT_ABOVE:
            self._projects.clear()
        return self._projects.setdefault(organization, _Stride())


class Lookahead:
    """How many jobs to hand to the broker beyond the free slots, so that a slot never waits for the dispatcher.

    About `horizon_seconds` of work at the recent rate, and at least one: slow jobs leave the order to the dispatcher
    (a newcomer waits for two slots at most), fast ones keep the workers fed.
    """

    def __init__(self, horizon_seconds: float = HORIZON_SECONDS, most: int = 64) -> None:
        self._horizon_seconds = horizon_seconds
        self._max = most
        self._rate = 0.0
        self._since: float | None = None

    def observe(self, jobs: int, now_seconds: float) -> None:
        """Count `jobs` dispatched at the monotonic time `now_seconds`; an exponential average over about a second."""
        if self._since is None:
            self._since = now_seconds
            return
        elapsed = max(now_seconds - self._since, 1e-3)
        self._since = now_seconds
        share = min(1.0, elapsed)
        self._rate += share * (jobs / elapsed - self._rate)

    @property
    def jobs(self) -> int:
        """The current lookahead, between 1 and `most`."""
        return max(1, min(self._max, ceil(self._rate * self._horizon_seconds)))
