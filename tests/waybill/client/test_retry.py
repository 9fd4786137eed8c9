from datetime import UTC, datetime
from itertools import islice

import pytest

from waybill.client.retry import backoff_seconds, retry_after_seconds

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        (" 0 ", 0.0),
        ("Sun, 01 Mar 2026 12:00:09 GMT", 9.0),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(header: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(header, NOW) == seconds


def test_the_bound_doubles_up_to_its_cap_and_each_delay_is_in_its_upper_half() -> None:
    for _ in range(50):
        delays = list(islice(backoff_seconds(0.1, 0.5), 5))
        for delay, bound in zip(delays, (0.1, 0.2, 0.4, 0.5, 0.5), strict=True):
            assert bound / 2 <= delay <= bound
