from datetime import UTC, datetime, timedelta, timezone

import pytest

from core.kit.clock import isoformat, require_aware, utc_now


def test_now_is_aware_and_utc() -> None:
    assert utc_now().utcoffset() == timedelta(0)


def test_a_naive_time_is_refused() -> None:
    naive = datetime(2026, 1, 1)  # noqa: DTZ001 - the point of the test
    with pytest.raises(ValueError, match="zone"):
        require_aware(naive)
    with pytest.raises(ValueError, match="zone"):
        isoformat(naive)


def test_one_written_form() -> None:
    there = datetime(2026, 1, 1, 2, 30, tzinfo=timezone(timedelta(hours=2, minutes=30)))
    assert isoformat(there) == "2026-01-01T00:00:00.000000Z"
    assert datetime.fromisoformat(isoformat(there)) == there
    assert require_aware(there).tzinfo is UTC
