"""A system of another make: few fields, its own words, a policy of its own, and a check that names what is missing."""

import json
from collections.abc import Iterator
from decimal import Decimal
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core.kit.errors import Unavailable
from pipelines._kit.tools.answers import require_readable
from pipelines._kit.tools.client import ToolAnswerInvalid
from pipelines._kit.tools.policies import Effect, ToolPolicy, ToolServer
from pipelines.customer_operations.operations import OPERATIONS, schemas
from pipelines.customer_operations.policies.decisions import Case, Decision, decide
from pipelines.customer_operations.policies.facts import Order
from pipelines.customer_operations.policies.tables import Policy, load_policy, load_replies, policy_version
from pipelines.customer_operations.replies import describe
from tests.factories.shop import ORDER, TOML, Shop, shop
from waybill.cli.main import app

KNOWN = "ATT, COL, DEP, DLV, HLD, LBL, LST, OFD, RTS, SRT, TRN"
KNOWN_STATES = "booked, canceled, cancelled, delivered, in_transit, lost, returned"
KNOWN_SERVICES = "express_12, express_24, other, standard"
OWN = """
[statuses]
delivered = "DLV"

[states]
open = "booked"
"""


@pytest.fixture
def served() -> Iterator[Shop]:
    with shop() as opened:
        yield opened


def decided(policy: Policy, intent: str, **order: object) -> Decision:
    address = {"street": "a", "postcode": "b", "city": "c"}
    return decide(policy, Case(intent, "c1", is_verified=True, order=Order.read(order), address=address))


@pytest.mark.parametrize(
    "intent", ["refund_late_delivery", "cancel_order", "address_change", "refund_status", "lost_parcel"]
)
def test_what_rests_on_a_fact_that_is_not_known_is_left_to_a_person(intent: str) -> None:
    decision = decided(load_policy(), intent, order_id=7, status="DLV")
    assert (decision.calls, decision.human) == ((), "facts_missing")
    assert decided(load_policy(), "order_status", order_id=7, status="DLV").code == "status_delivered"


@pytest.mark.parametrize("lacking", ["paid", "refunds", "price", "service", "promised_on", "delivered_on"])
def test_a_refund_needs_what_its_table_rests_on(lacking: str) -> None:
    order = {name: value for name, value in ORDER.items() if name != lacking}
    assert decided(load_policy(), "refund_late_delivery", **order).human == "facts_missing"


def test_an_operators_folder_stands_in_for_the_sample(folder: Path) -> None:
    sample = load_policy()
    shipped = files("pipelines.customer_operations.policies").joinpath("policy.toml").read_text("utf-8")
    before = policy_version()
    for each in (load_policy, policy_version):
        each.cache_clear()
    own = shipped.replace('["express_24", "express_12"]', '["express"]').replace("VHD", "SHOP") + OWN
    own = own.replace('currency = "EUR"', 'currency = "USD"')
    (folder / "policy.toml").write_text(own, encoding="utf-8")
    assert decided(sample, "refund_late_delivery", **ORDER).human == "facts_missing"
    decision = decided(load_policy(), "refund_late_delivery", **ORDER)
    assert [(call.operation, call.amount) for call in decision.calls] == [("issue_refund", Decimal("20.00"))]
    assert (decision.facts["status"], decision.facts["order"]) == ("DLV", "S-1")
    assert decision.calls[0].arguments["order_id"] == "7"
    assert decision.facts["currency"] == "USD"
    assert "20.00 USD" in describe(load_replies(), decision.calls, load_policy().currency)
    assert policy_version() != before
    assert load_replies().closing.startswith("Kind regards")


def test_all_that_is_wrong_in_a_policy_is_said_at_once(folder: Path) -> None:
    (folder / "policy.toml").write_text("orders_considered = 'many'\nunknown = 1\n", encoding="utf-8")
    with pytest.raises(Unavailable) as refused:
        load_policy()
    assert refused.value.code == "policy_invalid"
    for entry in ("orders_considered", "unknown", "order_pattern", "intents"):
        assert entry in refused.value.detail


def test_all_missing_fields_of_an_answer_are_named_at_once() -> None:
    server = ToolServer(name="shop", url="http://127.0.0.1:9/mcp", timeout_seconds=1, max_attempts=1)
    policy = ToolPolicy(
        tool="orders.get",
        operation="get_order",
        server=server,
        effect=Effect.READ,
        calls_per_job=1,
        arguments={},
        results={},
    )
    with pytest.raises(ToolAnswerInvalid) as refused:
        require_readable(OPERATIONS["get_order"].answer.model_validate, {"paid": "much", "refunds": [{}]}, policy)
    for entry in ("order_id is missing", "status is missing", "paid", "refunds.0.amount is missing"):
        assert entry in str(refused.value)
    assert "much" not in str(refused.value)


def test_the_check_names_everything_and_calls_no_effect(served: Shop, tmp_path: Path) -> None:
    file = tmp_path / "shop.toml"
    file.write_text(TOML.format(url=served.url), encoding="utf-8")
    run = CliRunner().invoke(app, ["tools", "check", str(file), "--json"])
    found = json.loads(run.stdout)
    by_name = {each["operation"]: each for each in found["operations"]}
    assert (run.exit_code, found["fits"], served.called) == (1, False, [])
    assert by_name["find_customer"]["missing"] == by_name["get_order"]["missing"] == []
    assert [each.split(":")[0] for each in by_name["issue_refund"]["missing"]] == [
        "it takes no request_id, the idempotency_argument of the file",
        "it takes no order_id",
        "it takes no reason",
        "it requires order, which is never sent",
        "it requires currency, which is never sent",
    ]
    assert "open_ticket" in found["not_attached"]
    file.write_text(TOML.format(url=served.url).replace("EUR", "USD"), encoding="utf-8")
    run = CliRunner().invoke(app, ["tools", "check", str(file), "--json"])
    refund = next(each for each in json.loads(run.stdout)["operations"] if each["operation"] == "issue_refund")
    assert refund["missing"][-1] == "it uses USD, but policy.toml says EUR"

    served.order = {"status": "delivered"}
    tried = CliRunner().invoke(app, ["tools", "check", str(file), "--json", "--customer", "a@b.c", "--order", "S-1"])
    by_name = {each["operation"]: each for each in json.loads(tried.stdout)["operations"]}
    assert "order_id is missing" in by_name["get_order"]["missing"][0]
    assert by_name["find_customer"]["notes"][-1] == "tested: its answer fits"
    assert served.called == ["find_customer", "get_order c1 S-1"]


def test_the_schemas_are_published_for_every_operation() -> None:
    run = CliRunner().invoke(app, ["tools", "schemas"])
    assert json.loads(run.stdout) == json.loads(json.dumps(schemas(), default=str))
    assert json.loads(run.stdout)["get_order"]["answer"]["required"] == ["order_id", "status"]
    assert CliRunner().invoke(app, ["tools", "schemas", "issue_refund"]).exit_code == 0


def test_the_sample_is_written_for_a_start_and_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "replies.toml").write_text("mine", encoding="utf-8")
    assert CliRunner().invoke(app, ["tools", "init", str(tmp_path)]).exit_code == 0
    assert (tmp_path / "replies.toml").read_text(encoding="utf-8") == "mine"
    assert "order_pattern" in (tmp_path / "policy.toml").read_text(encoding="utf-8")


def test_the_check_tries_the_number_and_the_words_of_the_tested_order(served: Shop, folder: Path) -> None:
    file = folder / "shop.toml"
    file.write_text(TOML.format(url=served.url), encoding="utf-8")

    def tried() -> tuple[int, dict[str, Any]]:
        for each in (load_policy, load_replies):
            each.cache_clear()
        arguments = ["tools", "check", str(file), "--json", "--customer", "a@b.c", "--order", "S-1"]
        run = CliRunner().invoke(app, arguments)
        read = json.loads(run.stdout or "{}")
        return run.exit_code, {each["operation"]: each for each in read.get("operations", [])} | read

    wrong = tried()[1]
    assert wrong["get_order"]["missing"] == [
        "policy.toml: order_pattern does not match S-1, so no message names this order",
        f"policy.toml: no rule knows delivered; map it in [statuses], as delivered = one of {KNOWN}",
        f"policy.toml: no rule knows open; map it in [states], as open = one of {KNOWN_STATES}",
        f"policy.toml: no rule knows express; map it in [services], as express = one of {KNOWN_SERVICES}",
    ]
    assert wrong["read_from"]["policy.toml"] == "the sample company's policy.toml"

    shipped = files("pipelines.customer_operations.policies").joinpath("policy.toml").read_text("utf-8")
    own = folder / "policy.toml"
    services = '\n[services]\nexpress = "express_24"\n'
    own.write_text(shipped.replace("VHD\\\\d{6}", "S-\\\\d+") + OWN + services, encoding="utf-8")
    right = tried()[1]
    assert right["get_order"]["missing"] == []
    assert right["get_order"]["notes"][1:] == [
        "order_pattern matches S-1",
        "[statuses] delivered is DLV: customers read \u201cdelivered\u201d",
        "[states] open is booked",
        "[services] express is express_24",
    ]
    assert right["read_from"]["policy.toml"] == str(own)

    (folder / "replies.toml").write_text('greeting = "Hallo {naam}"', encoding="utf-8")
    assert tried()[0] != 0
    (folder / "replies.toml").unlink()
    own.write_text(f'{shipped}\n[statuses]\nNEW = "XYZ"\n', encoding="utf-8")
    assert tried()[0] != 0
