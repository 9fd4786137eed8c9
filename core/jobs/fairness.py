"""Who goes next: strict priority, then weighted fair shares between projects within every limit.

Stride scheduling (Waldspurger and Weihl, "Stride Scheduling: Deterministic Proportional-Share Resource Management",
MIT/LCS/TM-528, 1995): each project has a *pass* that grows by 1/weight with every job it gets; the lowest goes next.
"""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from math import ceil
from uuid import UUID

from core.jobs.queue import DueJob

_FORGET_ABOVE = 10_000
HORIZON_SECONDS = 0.05


class FairShare:
    """The memory of one pool's dispatcher. Losing it costs a moment of fairness, nothing else."""

    def __init__(self) -> None:
        self._passes: dict[UUID, float] = {}
        self._now = 0.0

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

        `in_flight` counts jobs that are dispatched or running anywhere, and `limits` bounds them, by the ids of
        organisations, projects and keys. A project at its limit (its own, or `default_limit`), or of an organisation at
        its limit, is passed over; so are, within a project, the jobs of a key at its limit.
        """
        chosen: list[UUID] = []
        taken = Counter(in_flight)

        def is_full(scope_id: UUID | None) -> bool:
            return scope_id is not None and scope_id in limits and taken[scope_id] >= limits[scope_id]

        for priority in sorted({job.priority for job in due}):
            queues: dict[UUID, deque[DueJob]] = {}
            for job in due:
                if job.priority == priority:
                    queues.setdefault(job.project_id, deque()).append(job)
            while queues and len(chosen) < slots:
                project = min(queues, key=lambda candidate: (self._pass(candidate), candidate))
                queue = queues[project]
                limit = queue[0].max_concurrent_jobs or default_limit
                if taken[project] >= limit or is_full(project) or is_full(queue[0].organization_id):
                    del queues[project]
                    continue
                job = queue.popleft()
                if not queue:
                    del queues[project]
                if is_full(job.key_id):
                    continue
                chosen.append(job.id)
                # A set: nothing keeps one id from standing for two of these.
                taken.update({each for each in (job.organization_id, project, job.key_id) if each is not None})
                self._advance(project, job.weight)
        return chosen

    def _pass(self, project: UUID) -> float:
        # A project that was idle starts at the present: it has saved up no claim on the past.
        return max(self._passes.get(project, 0.0), self._now)

    def _advance(self, project: UUID, weight: int) -> None:
        started = self._pass(project)
        self._now = started
        self._passes[project] = started + 1 / weight
        if len(self._passes) > _FORGET_ABOVE:
            self._passes = {known: value for known, value in self._passes.items() if value > self._now}


class Lookahead:
    """How many jobs to hand to the broker beyond the free slots, so that a slot never waits for the dispatcher.

    About `horizon_seconds` of work at the recent rate, and at least one: slow jobs leave the order to the dispatcher
    (a newcomer waits for two slots at most), fast ones keep the workers fed.
    """

    def __init__(self, horizon_seconds: float = HORIZON_SECONDS, most: int = 64) -> None:
        self._horizon_seconds = horizon_seconds
        self._most = most
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
        """The present lookahead, between 1 and `most`."""
        return max(1, min(self._most, ceil(self._rate * self._horizon_seconds)))
