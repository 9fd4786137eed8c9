from datetime import UTC, datetime, timedelta

import pytest

from core.webhooks.schedule import DELAYS, RETRY_AFTER_MAX, jitter, next_delay, parse_retry_after

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def test_ten_attempts_over_about_three_days() -> None:
    assert len(DELAYS) == 10
    assert timedelta(days=3) < sum(DELAYS, timedelta()) < timedelta(days=3, hours=6)
    assert [next_delay(failures, None, lambda: 1.0) for failures in range(1, 10)] == list(DELAYS[1:])
    assert next_delay(10, None) is None


def test_jitter_is_never_early_and_at_most_a_tenth_late() -> None:
    drawn = [jitter() for _ in range(1_000)]
    assert min(drawn) >= 1.0
    assert max(drawn) <= 1.1
    assert len(set(drawn)) > 900


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        (" 0 ", 0),
        ("Mon, 23 Nov 2026 12:01:00 GMT", 60),
        ("Mon, 23 Nov 2026 11:00:00 GMT", 0),
        ("99999999999999999999", RETRY_AFTER_MAX.total_seconds()),
        ("soon", None),
        ("-5", None),
        ("", None),
        ("\uff11\uff12", None),
        (None, None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(value: str | None, seconds: float | None) -> None:
    found = parse_retry_after(value, NOW)
    assert (None if found is None else found.total_seconds()) == seconds


def test_a_receiver_cannot_ask_for_more_than_a_day() -> None:
    assert next_delay(1, timedelta(days=30), lambda: 1.0) == RETRY_AFTER_MAX
    assert next_delay(1, timedelta(0), lambda: 1.0) == DELAYS[1]
