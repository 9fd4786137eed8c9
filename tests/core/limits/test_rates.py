"""GCRA in Redis and in memory: the same decisions, a burst, an even refill, all buckets or none."""

from collections.abc import Iterator
from contextlib import closing

import pytest
import redis
from hypothesis import given
from hypothesis import strategies as st

from core.kit.redis import connect
from core.kit.settings import Settings
from core.limits.rates import MINUTE_US, SCRIPT, Bucket, LocalBuckets, Verdict, script_input, script_output


def bucket(per_minute: int, name: str = "key", key: str = "k") -> Bucket:
    return Bucket(name, None, "key_1", per_minute, key)


@pytest.fixture
def client(settings: Settings) -> Iterator[redis.Redis]:
    with closing(connect(settings)) as opened:
        yield opened


def ask(client: redis.Redis, *requests: tuple[Bucket, ...]) -> list[Verdict]:
    keys, arguments = script_input(requests)
    return script_output(requests, client.eval(SCRIPT, len(keys), *keys, *arguments))


def test_a_minutes_requests_may_come_at_once_and_no_more(client: redis.Redis, settings: Settings) -> None:
    mine = bucket(100, key=settings.key("rate", "burst"))
    verdicts = [verdict for _ in range(5) for verdict in ask(client, *[(mine,)] * 25)]
    passed = [verdict.passes for verdict in verdicts]
    # It refills by one in 0.6 s, and the 125 take far less.
    assert passed[:100] == [True] * 100
    assert sum(passed) <= 102
    refused = verdicts[-1]
    assert refused.remaining(0) == 0
    assert refused.empty == (mine, 1)
    assert verdicts[0].policy_header() == '"key";q=100;w=60'
    assert verdicts[0].state_header() == '"key";r=99;t=1'
    assert 50_000 < client.pttl(mine.key) <= 60_001, "a bucket is gone when it is full again"


def test_a_request_is_charged_to_all_of_its_buckets_or_to_none(client: redis.Redis, settings: Settings) -> None:
    small, large = (bucket(n, key=settings.key("rate", str(n))) for n in (2, 1000))
    assert [verdict.passes for verdict in ask(client, *[(large, small)] * 3)] == [True, True, False]
    [alone] = ask(client, (large,))
    assert 996 <= alone.remaining(0) <= 998, "the refused one was not charged"


def test_one_call_serves_requests_of_many_callers(client: redis.Redis, settings: Settings) -> None:
    a, b = (bucket(1, key=settings.key("rate", name)) for name in "ab")
    verdicts = ask(client, (a,), (b,), (a,), (), (b,))
    assert [verdict.passes for verdict in verdicts] == [True, True, False, True, False]
    assert {key[: key.index("}")] for key in script_input([(a, b)])[0]} == {"{" + settings.key_prefix}


@given(
    per_minute=st.integers(1, 10_000),
    gaps_us=st.lists(st.integers(0, 5_000_000), min_size=1, max_size=200),
)
def test_no_stretch_of_time_passes_more_than_a_bucket_and_its_refill(per_minute: int, gaps_us: list[int]) -> None:
    mine, local, now = bucket(per_minute), LocalBuckets(), 10.0 * MINUTE_US
    passed: list[float] = []
    for gap in gaps_us:
        now += gap
        verdict = local.decide((mine,), now)
        if verdict.passes:
            passed.append(now)
        else:
            # Whoever waits as long as it is told passes.
            _, seconds = verdict.empty
            assert LocalBuckets.decide(local, (mine,), now + seconds * 1e6).passes
            now += seconds * 1e6
            passed.append(now)
    for first, begin in enumerate(passed):
        for count, end in enumerate(passed[first:], start=1):
            assert count <= per_minute + (end - begin + 2) / mine.interval_us + 1e-6


@given(waits_us=st.lists(st.integers(0, 3_000_000), max_size=60), per_minute=st.integers(1, 600))
def test_the_remaining_is_what_passes_now(waits_us: list[int], per_minute: int) -> None:
    mine, local, now = bucket(per_minute), LocalBuckets(), 10.0 * MINUTE_US
    for wait in waits_us:
        now += wait
        local.decide((mine,), now)
    verdict = local.decide((mine,), now)
    left = verdict.remaining(0)
    if not verdict.passes:
        assert left == 0
    assert [local.decide((mine,), now).passes for _ in range(left + 1)] == [True] * left + [False]


def test_what_redis_said_last_is_where_memory_goes_on(client: redis.Redis, settings: Settings) -> None:
    mine, local = bucket(10, key=settings.key("rate", "handover")), LocalBuckets()
    for verdict in ask(client, *[(mine,)] * 8):
        local.note(verdict)
    assert [local.decide((mine,)).passes for _ in range(4)] == [True, True, False, False]
