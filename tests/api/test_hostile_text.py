"""Text from outside that is made to be slow to look at: nobody else waits for it."""

import statistics
import threading
import time
from collections.abc import Callable

import httpx
import pytest

from tests.factories.api import RunningApi

LENGTH = 16_000
IDLE_LEAST_SECONDS = 0.05  # what a loaded machine may add to any request


def seconds_of_health(client: httpx.Client) -> float:
    begun = time.monotonic()
    assert client.get("/healthz").status_code == 200
    return time.monotonic() - begun


@pytest.mark.survive("A1")
@pytest.mark.parametrize("unit", ["a", "://", "input_value=", "password=", "Bearer ", "[parameters: "])
def test_one_unauthenticated_request_holds_no_one_up(
    api: RunningApi, unit: str, record_property: Callable[[str, object], None]
) -> None:
    path = "/" + (unit * (LENGTH // len(unit))).replace(" ", "%20") + "@"
    with api.client("") as hostile, api.client("") as other:
        idle = statistics.median(seconds_of_health(other) for _ in range(20))
        sent = [threading.Thread(target=hostile.get, args=(path,)) for _ in range(4)]
        for thread in sent:
            thread.start()
        beside = [seconds_of_health(other) for _ in range(20)]
        for thread in sent:
            thread.join()
    record_property("figure", f"/healthz {idle * 1000:.1f} ms, beside it at most {max(beside) * 1000:.1f} ms")
    assert statistics.median(beside) <= 10 * max(idle, IDLE_LEAST_SECONDS)
    assert max(beside) < 2
