from datetime import UTC, datetime

import pytest

from core.kit.retry_after import retry_after_seconds

NOW = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "45"}, 45),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "Mon, 23 Nov 2026 05:00:30 GMT"}, 30),
        ({"retry-after": "Mon, 23 Nov 2026 04:00:30 GMT"}, 0),
        ({"retry-after-ms": "1500", "retry-after": "45"}, 1.5),
        ({"retry-after": "99999"}, 3600),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"x-ratelimit-reset-requests": "1m30s", "x-ratelimit-reset-tokens": "250ms"}, 90),
        ({"x-ratelimit-reset-requests": "1m30s", "x-ratelimit-remaining-requests": "7"}, None),
        ({"x-ratelimit-reset-tokens": "6s", "x-ratelimit-remaining-tokens": "0", "retry-after": "2"}, 2),
        ({"anthropic-ratelimit-requests-reset": "2026-11-23T05:00:20Z"}, 20),
        ({"x-ratelimit-reset": str(int(NOW.timestamp()) + 12)}, 12),
        ({"x-ratelimit-reset": str((int(NOW.timestamp()) + 12) * 1000)}, 12),
        ({"retry-after": "9" * 5000}, None),
    ],
)
def test_what_was_asked_for_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_seconds(headers, NOW) == seconds
