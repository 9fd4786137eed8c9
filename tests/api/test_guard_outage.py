"""What readiness and the doctor say about an analyzer that is configured, while it is away and once it answers."""

import tempfile
from pathlib import Path

import pytest

from core.kit.settings import Settings
from tests.factories.api import running_api
from tests.factories.guard import analyzer, socket_below
from tests.factories.processes import settings_of
from tests.factories.waiting import wait_until
from waybill.stack.doctor.guard import check_guard

pytestmark = [
    pytest.mark.stack,
    # httpcore leaves the socket to the garbage collector when a Unix socket refuses the connection.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_a_configured_guard_is_named_and_its_outage_degrades(settings: Settings) -> None:
    assert check_guard(settings) == []
    with tempfile.TemporaryDirectory(prefix="wb-") as folder:
        url = socket_below(Path(folder))
        guarded = settings_of(settings, guard_url=url)
        with running_api(guarded) as api, api.client("") as client:
            answer = client.get("/readyz")
            assert answer.status_code == 200
            assert answer.json()["status"] == "degraded"
            assert answer.json()["dependencies"]["guard"] == {"status": "down", "detail": "ConnectError"}
            [failed] = check_guard(guarded)
            assert failed.status == "fail"
            assert url in failed.found
            with analyzer(guarded, url):
                wait_until(
                    lambda: client.get("/readyz").json()["status"] == "ready", timeout_seconds=60, what="the guard"
                )
                assert client.get("/readyz").json()["dependencies"]["guard"]["status"] == "up"
                [found] = check_guard(guarded)
                assert found.status == "ok"
