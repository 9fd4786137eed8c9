from collections import Counter
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from core.jobs.fairness import FairShare, Lookahead
from core.jobs.queue import DueJob
from core.kit.ids import new_id

ORGANIZATION, RIVAL = UUID(int=9), UUID(int=8)
A, B, C = UUID(int=1), UUID(int=2), UUID(int=3)


def due(
    project: UUID,
    count: int,
    *,
    priority: int = 1,
    weight: int = 1,
    limit: int | None = None,
    organization: UUID = ORGANIZATION,
) -> list[DueJob]:
    return [DueJob(new_id(), priority, project, weight, limit, organization, None) for _ in range(count)]


def choose(
    shares: FairShare, jobs: list[DueJob], slots: int, flying: dict[UUID, int] | None = None, default_limit: int = 1000
) -> list[UUID]:
    project_of = {job.id: job.project_id for job in jobs}
    chosen = shares.choose(jobs, slots=slots, in_flight=flying or {}, limits={}, default_limit=default_limit)
    return [project_of[job_id] for job_id in chosen]


def test_a_flood_and_a_single_job_take_turns() -> None:
    order = choose(FairShare(), due(A, 1000) + due(B, 1), slots=4)
    assert B in order[:2]


def test_shares_follow_the_weights_over_many_rounds() -> None:
    shares = FairShare()
    got: Counter[UUID] = Counter()
    for _ in range(100):
        got.update(choose(shares, due(A, 8, weight=3) + due(B, 8, weight=1), slots=4))
    assert got[A] == 300
    assert got[B] == 100


def test_a_higher_priority_goes_first_within_its_project() -> None:
    low, high, normal = due(A, 2, priority=2), due(A, 2, priority=0), due(A, 2)
    order = FairShare().choose(low + high + normal, slots=5, in_flight={}, limits={}, default_limit=100)
    assert order == [job.id for job in [*high, *normal, low[0]]]


def test_a_higher_priority_overtakes_no_other_project() -> None:
    jobs = due(A, 10, priority=0) + due(B, 10, priority=2)
    assert Counter(choose(FairShare(), jobs, slots=10)) == {A: 5, B: 5}


def test_more_projects_or_heavier_ones_get_an_organization_no_more() -> None:
    flood = due(A, 50, priority=0, weight=100) + due(B, 50, priority=0, weight=100)
    order = choose(FairShare(), flood + due(C, 50, priority=2, organization=RIVAL), slots=40)
    assert Counter(order) == {A: 10, B: 10, C: 20}


def test_an_operator_may_give_an_organization_a_larger_share() -> None:
    jobs = due(A, 50) + due(C, 50, organization=RIVAL)
    assert Counter(choose(FairShare({RIVAL: 3}), jobs, slots=40)) == {A: 10, C: 30}


def test_an_organization_at_its_limit_is_passed_over() -> None:
    jobs = due(A, 10) + due(B, 10) + due(C, 10, organization=RIVAL)
    order = FairShare().choose(jobs, slots=8, in_flight={ORGANIZATION: 2}, limits={ORGANIZATION: 3}, default_limit=100)
    project_of = {job.id: job.project_id for job in jobs}
    assert Counter(project_of[each] for each in order) == {A: 1, C: 7}


@given(
    flood=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 2), st.integers(1, 1000)), min_size=1, max_size=8),
    single=st.integers(0, 2),
)
def test_whatever_one_organization_submits_anothers_job_is_among_the_next_two(
    flood: list[tuple[int, int, int]], single: int
) -> None:
    jobs = [
        job
        for number, (count, priority, weight) in enumerate(flood)
        for job in due(UUID(int=100 + number), count, priority=priority, weight=weight)
    ]
    shares = FairShare()
    choose(shares, jobs, slots=20)
    assert C in choose(shares, jobs + due(C, 1, priority=single, organization=RIVAL), slots=2)


def test_a_newcomer_gets_no_credit_for_having_been_idle() -> None:
    shares = FairShare()
    choose(shares, due(A, 500), slots=500)
    order = choose(shares, due(A, 10) + due(B, 10), slots=10)
    assert Counter(order) == {A: 5, B: 5}


def test_a_project_at_its_limit_is_passed_over() -> None:
    jobs = due(A, 10, limit=3) + due(B, 10)
    order = choose(FairShare(), jobs, slots=8, flying={A: 2})
    assert Counter(order) == {A: 1, B: 7}


def test_the_limit_counts_over_all_priorities() -> None:
    jobs = due(A, 5, priority=0, limit=4) + due(A, 5, priority=1, limit=4)
    assert len(choose(FairShare(), jobs, slots=10)) == 4


@given(
    counts=st.lists(st.integers(0, 20), min_size=3, max_size=3),
    slots=st.integers(0, 40),
    flying=st.lists(st.integers(0, 10), min_size=3, max_size=3),
)
def test_never_more_than_the_slots_and_never_over_a_limit(counts: list[int], slots: int, flying: list[int]) -> None:
    jobs = [job for project, count in zip((A, B, C), counts, strict=True) for job in due(project, count, limit=5)]
    in_flight = dict(zip((A, B, C), flying, strict=True))
    order = choose(FairShare(), jobs, slots=slots, flying=in_flight)
    assert len(order) <= slots
    for project, count in Counter(order).items():
        assert in_flight[project] + count <= 5


def test_the_lookahead_is_one_for_slow_jobs_and_grows_with_the_rate() -> None:
    lookahead = Lookahead(horizon_seconds=0.05)
    for second in range(10):
        lookahead.observe(2, float(second))
    assert lookahead.jobs == 1
    for tick in range(200):
        lookahead.observe(20, 10 + tick / 25)
    assert 20 <= lookahead.jobs <= 30
