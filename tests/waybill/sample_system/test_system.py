"""The sample system through its own door: MCP over HTTP, on a real database."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from pipelines._kit.tools.client import McpClient, ToolRefusal
from tests.factories.sample_system import Attached, attached
from waybill.sample_system.seed import make_rows


@pytest.fixture(scope="module")
def running(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attached]:
    with attached(postgres_url, tmp_path_factory.mktemp("sample")) as running:
        yield running


@pytest.fixture
def system(running: Attached) -> Attached:
    running.system.database.reset()
    return running


@pytest.fixture(scope="module")
def client() -> Iterator[McpClient]:
    client = McpClient()
    yield client
    client.close()


def call(system: Attached, client: McpClient, tool: str, **arguments: Any) -> dict[str, Any]:
    server = next(iter(system.tools.policies)).server
    return client.call(server, tool, arguments)


def refusal(system: Attached, client: McpClient, tool: str, **arguments: Any) -> str:
    with pytest.raises(ToolRefusal) as refused:
        call(system, client, tool, **arguments)
    return refused.value.code


def refund(order: str, reason: str, amount: str, key: str = "k1") -> dict[str, str]:
    return {"order_id": order, "reason": reason, "amount": amount, "idempotency_key": key}


def test_the_data_are_the_same_every_time_and_a_few_thousand_rows(system: Attached) -> None:
    assert make_rows() == make_rows()
    counted = {name: system.count(name) for name in ("customers", "orders", "shipments", "refunds", "tickets")}
    assert sum(counted.values()) > 4000
    assert counted["orders"] == counted["shipments"]
    assert system.count("orders", "refunded > paid") == 0
    assert (
        system.count("orders", "refunded <> (SELECT coalesce(sum(amount), 0) FROM refunds WHERE order_id = orders.id)")
        == 0
    )


def test_no_one_comes_in_without_the_token(system: Attached) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eA=="}):
        answer = httpx.post(system.system.url, json={}, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"


def test_an_order_is_shown_only_to_its_customer(system: Attached, client: McpClient) -> None:
    answer = call(system, client, "get_order", customer_id="C-1001", reference="vhd300001")
    assert (answer["order_id"], answer["paid"], answer["refunds"]) == ("VH-300001", "24.30", [])
    assert refusal(system, client, "get_order", customer_id="C-1002", reference="VH-300001") == "order_unknown"
    assert refusal(system, client, "find_customer", email="nobody@example.org") == "customer_unknown"
    public = call(system, client, "track_parcel", tracking="VHD300001")
    assert set(public) == {"tracking", "status", "promised_on", "last_scan_on", "last_scan_town", "today"}


def test_the_same_key_refunds_once_and_another_call_under_it_is_refused(system: Attached, client: McpClient) -> None:
    first = call(system, client, "issue_refund", **refund("VH-300001", "express_late", "24.30"))
    again = call(system, client, "issue_refund", **refund("VH-300001", "express_late", "24.30"))

    assert {**again, "replayed": False} == first
    assert again["replayed"] is True
    assert system.count("refunds", "order_id = 'VH-300001'") == 1
    other = refund("VH-300003", "standard_late", "4.90")
    assert refusal(system, client, "issue_refund", **other) == "idempotency_key_reused"


@pytest.mark.parametrize(
    ("order", "reason", "amount", "code"),
    [
        ("VH-300001", "express_late", "24.31", "refund_exceeds_paid"),
        ("VH-300014", "express_late", "0.01", "refund_exceeds_paid"),
        ("VH-300001", "express_late", "-1.00", "amount_invalid"),
        ("VH-300001", "express_late", "0.001", "amount_invalid"),
        ("VH-300012", "express_late", "26.00", "window_closed"),
        ("VH-300018", "express_late", "21.40", "reason_does_not_hold"),
        ("VH-300007", "standard_late", "5.00", "order_state"),
        ("VH-300006", "charged_twice", "33.51", "reason_does_not_hold"),
        ("VH-300001", "goodwill", "15.01", "reason_does_not_hold"),
        ("VH-300001", "bribe", "1.00", "reason_unknown"),
        ("VH-999999", "goodwill", "1.00", "order_unknown"),
    ],
)
def test_the_system_itself_refuses_what_its_rules_forbid(
    system: Attached,
    client: McpClient,
    *,
    order: str,
    reason: str,
    amount: str,
    code: str,
) -> None:
    before = system.count("refunds")
    assert refusal(system, client, "issue_refund", **refund(order, reason, amount)) == code
    assert system.count("refunds") == before
    assert system.count("operations") == 0


def test_two_refunds_at_the_same_moment_do_not_take_more_than_was_paid(system: Attached, client: McpClient) -> None:
    def ask(number: int) -> str:
        try:
            call(system, client, "issue_refund", **refund("VH-300001", "express_late", "24.30", f"k{number}"))
        except ToolRefusal as refused:
            return refused.code
        return "done"

    with ThreadPoolExecutor(4) as threads:
        answers = sorted(threads.map(ask, range(8)))

    assert answers == ["done", *["refund_exceeds_paid"] * 7]
    assert system.rows("SELECT refunded FROM orders WHERE id = 'VH-300001'") == [{"refunded": Decimal("24.30")}]


def test_the_database_enforces_the_limit_for_every_writer(system: Attached) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        system.rows("UPDATE orders SET refunded = paid + 0.01 WHERE id = 'VH-300001' RETURNING id")


def test_goodwill_is_granted_three_times_in_ninety_days(system: Attached, client: McpClient) -> None:
    for order in ("VH-300001", "VH-300016", "VH-300018"):
        call(system, client, "issue_refund", **refund(order, "goodwill", "5.00", order))
    system.rows("UPDATE orders SET customer_id = 'C-1001' WHERE id = 'VH-300007' RETURNING id")
    last = refund("VH-300007", "goodwill", "5.00", "last")
    assert refusal(system, client, "issue_refund", **last) == "goodwill_used_up"


def test_what_was_done_can_be_undone(system: Attached, client: McpClient) -> None:
    made = call(system, client, "issue_refund", **refund("VH-300001", "express_late", "24.30"))
    call(system, client, "void_refund", refund_id=made["refund_id"], idempotency_key="undo")
    assert system.rows("SELECT refunded FROM orders WHERE id = 'VH-300001'") == [{"refunded": Decimal("0.00")}]
    assert refusal(system, client, "void_refund", refund_id=made["refund_id"], idempotency_key="u2") == "refund_final"

    call(system, client, "cancel_order", order_id="VH-300005", idempotency_key="c1")
    assert refusal(system, client, "cancel_order", order_id="VH-300005", idempotency_key="c2") == "order_state"
    call(system, client, "reinstate_order", order_id="VH-300005", idempotency_key="c3")
    assert system.count("orders", "id = 'VH-300005' AND state = 'booked'") == 1

    before = system.rows("SELECT street, postcode, city FROM shipments WHERE order_id = 'VH-300010'")
    moved = {"order_id": "VH-300010", "street": "Meir 24", "postcode": "2000", "city": "Antwerp"}
    call(system, client, "change_address", **moved, idempotency_key="a1")
    assert system.count("shipments", "order_id = 'VH-300010' AND street = 'Meir 24'") == 1
    call(system, client, "restore_address", order_id="VH-300010", idempotency_key="a2")
    assert system.rows("SELECT street, postcode, city FROM shipments WHERE order_id = 'VH-300010'") == before
    late = {**moved, "order_id": "VH-300011"}
    assert refusal(system, client, "change_address", **late, idempotency_key="a3") == "order_state"


def test_a_ticket_needs_its_customer_and_its_order(system: Attached, client: McpClient) -> None:
    wanted = {"customer_id": "C-1005", "kind": "claim", "summary": "Broken.", "idempotency_key": "t1"}
    opened = call(system, client, "open_ticket", **wanted, order_id="VH-300009")
    assert opened["kind"] == "claim"
    assert refusal(system, client, "open_ticket", **{**wanted, "idempotency_key": "t2"}, order_id="VH-300001") == (
        "order_unknown"
    )
    assert refusal(system, client, "open_ticket", **{**wanted, "idempotency_key": "t3", "customer_id": "C-0"}) == (
        "customer_unknown"
    )
    bad_kind = {**wanted, "idempotency_key": "t4", "kind": "bribe"}
    assert refusal(system, client, "open_ticket", **bad_kind) == "constraint"
    call(system, client, "withdraw_ticket", ticket_id=opened["ticket_id"], idempotency_key="t5")


def test_a_second_start_keeps_what_was_done(
    postgres_url: str, tmp_path: Path, system: Attached, client: McpClient
) -> None:
    call(system, client, "issue_refund", **refund("VH-300001", "express_late", "24.30"))
    system.system.database.prepare()
    assert system.count("refunds", "order_id = 'VH-300001'") == 1
