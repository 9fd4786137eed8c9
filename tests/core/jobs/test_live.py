"""What is published costs a command only where it may matter."""

from collections.abc import Callable, Iterator

import pytest
import redis

from core.jobs import live
from core.jobs.live import LivePublisher, activity_channel, stream_key
from core.jobs.records import Event
from core.kit.clock import utc_now
from core.kit.ids import new_id
from core.kit.redis import connect
from core.kit.settings import Settings

JOB_ID = new_id()


@pytest.fixture
def client(settings: Settings) -> Iterator["redis.Redis"]:
    made = connect(settings)
    yield made
    made.close()


@pytest.fixture
def go_to(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Sets the publisher's clock, in seconds."""
    now = [0.0]
    monkeypatch.setattr(live, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, seconds)


def kept(number: int) -> Event:
    return Event(JOB_ID, number, number - 1, "progress.updated", 1, {}, utc_now())


def delta(number: int) -> Event:
    return Event(JOB_ID, number, 0, "message.delta", 1, {"text": "a"}, utc_now())


def test_the_bell_is_rung_once_a_second_until_somebody_hears_it(
    settings: Settings, client: "redis.Redis", go_to: Callable[[float], None]
) -> None:
    publisher = LivePublisher(client, settings)
    publisher.publish([kept(2)])
    with client.pubsub(ignore_subscribe_messages=True) as listener:  # type: ignore[no-untyped-call]
        listener.subscribe(activity_channel(settings))
        listener.get_message(timeout=10)
        go_to(0.9)
        publisher.publish([kept(3)])
        # What was published before it would be read before it.
        assert client.publish(activity_channel(settings), b"end") == 1
        assert listener.get_message(timeout=10)["data"] == b"end"
        for number, seconds in ((4, 1.1), (5, 1.2)):
            go_to(seconds)
            publisher.publish([kept(number)])
            assert listener.get_message(timeout=10)["data"] == b""


def test_deltas_renew_the_expiry_of_their_stream_now_and_then_and_kept_events_always(
    settings: Settings, client: "redis.Redis", go_to: Callable[[float], None]
) -> None:
    publisher, key = LivePublisher(client, settings), stream_key(settings, JOB_ID)

    def is_renewed_by(event: Event) -> bool:
        publisher.publish([event])
        # Taken away, so that the next event is seen to bring it back or not.
        return bool(client.persist(key))

    assert is_renewed_by(delta(2))
    assert not is_renewed_by(delta(3))
    go_to(settings.event_stream_ttl_seconds / 10 + 1)
    assert is_renewed_by(delta(4))
    assert is_renewed_by(kept(5))
    assert is_renewed_by(kept(6))
