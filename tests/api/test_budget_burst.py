"""A budget under a burst of submissions that arrive at several API processes at once."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal

import httpx
import pytest

from core.kit.db import Database
from core.kit.settings import Settings
from core.ledger.invariants import check_invariants
from tests.factories.api import issue_key
from tests.factories.capabilities import SPENDING_MODEL
from tests.factories.processes import dispatcher, running, worker
from tests.factories.waiting import wait_until
from waybill.stack.postgres import free_port

_PROCESSES = 4
_SUBMISSIONS = 200
_AT_ONCE = 40
# Fifty tokens at a tenth of a cent are the most that a job may use, and forty what it does use.
_PRICE = {"provider": "local", "model": SPENDING_MODEL, "unit": "output_tokens", "usd_per_unit": "0.001"}
_INPUT = {"act": "spend", "bound_tokens": 50, "used_tokens": 40}
_JOB = {"capability": "probe.act", "input": _INPUT, "max_cost_usd": "0.10"}


@pytest.mark.survive("P1")
@pytest.mark.survive("P2")
def test_four_api_processes_together_accept_exactly_what_a_budget_has_room_for(settings: Settings) -> None:
    key = issue_key(settings)
    headers = {"Authorization": f"Bearer {key.plaintext}"}
    with ExitStack() as stack:
        clients = []
        for _ in range(_PROCESSES):
            port = free_port()
            stack.enter_context(running(settings, "api", until="Uvicorn running", WAYBILL_API_PORT=str(port)))
            base = f"http://127.0.0.1:{port}"
            clients.append(
                stack.enter_context(httpx.Client(base_url=base, headers=headers, timeout=30, trust_env=False))
            )
        clients[0].post("/v1/prices", json=_PRICE).raise_for_status()
        budget = clients[0].post("/v1/budgets", json={"name": "burst", "limit_usd": "1.00"}).json()
        together = threading.Barrier(_AT_ONCE)

        def submit(number: int) -> httpx.Response:
            if number < _AT_ONCE:
                together.wait(30)
            return clients[number % _PROCESSES].post("/v1/jobs", json=_JOB)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            answers = list(pool.map(submit, range(_SUBMISSIONS)))
        accepted = [answer.json() for answer in answers if answer.status_code == httpx.codes.ACCEPTED]
        refused = [answer.json() for answer in answers if answer.status_code == httpx.codes.PAYMENT_REQUIRED]
        assert (len(accepted), len(refused)) == (10, 190)
        for problem in refused:
            said = {name: problem[name] for name in ("code", "budget", "name", "limit", "spent", "reserved", "wanted")}
            assert said == {
                "code": "budget_exhausted",
                "budget": budget["id"],
                "name": "burst",
                "limit": "1.00",
                "spent": "0.00",
                "reserved": "1.00",
                "wanted": "0.10",
            }

        def balance() -> dict[str, str]:
            shown: dict[str, str] = clients[1].get(f"/v1/budgets/{budget['id']}").json()["balance"]
            return shown

        assert Decimal(balance()["reserved_usd"]) == 1

        def all_succeeded() -> bool:
            return all(clients[2].get(f"/v1/jobs/{job['id']}").json()["state"] == "succeeded" for job in accepted)

        def is_released() -> bool:
            return Decimal(balance()["reserved_usd"]) == 0

        with dispatcher(settings), worker(settings):
            wait_until(all_succeeded, timeout_seconds=30, what="the accepted jobs to end")
            wait_until(is_released, timeout_seconds=20, what="the room to come back")
        costs = [clients[0].get(f"/v1/jobs/{job['id']}/cost").json()["cost_usd"] for job in accepted]
        assert costs == ["0.04"] * 10
        assert Decimal(balance()["spent_usd"]) == sum(map(Decimal, costs))
        assert clients[3].post("/v1/jobs", json=_JOB).status_code == httpx.codes.ACCEPTED
    database = Database(settings, application_name="test", pool_size=1)
    try:
        with database.system() as session:
            assert check_invariants(session) == []
    finally:
        database.close()
