"""The words and numbers of another company: what no rule knows is left to a person, and its own number goes out."""

from collections.abc import Callable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from core.gateway.embeddings.minilm import load_minilm
from core.kit.errors import Unavailable
from pipelines._kit.tools.policies import ToolServer
from pipelines.customer_operations.consent.judgment import judge
from pipelines.customer_operations.consent.reader import Action, load_reader
from pipelines.customer_operations.intents.classifier import Guess, IntentClassifier
from pipelines.customer_operations.intents.examples import Classifiers, load_examples
from pipelines.customer_operations.plan import Found, plan
from pipelines.customer_operations.policies.decisions import Case, Decision, decide
from pipelines.customer_operations.policies.facts import Order
from pipelines.customer_operations.policies.tables import load_policy, load_replies
from pipelines.customer_operations.replies import render
from pipelines.customer_operations.wishes import WishReader
from tests.factories.operations import Desk, FaultyClient, letter

BOOKED: dict[str, Any] = {
    "order_id": "ord_12", "reference": "VH-300012", "service": "express_24", "state": "booked", "status": "LBL",
    "tracking": "VHD300012", "paid": "26.30", "refunds": [], "price": "26.30", "times_charged": 1,
    "placed_on": "2026-04-19", "promised_on": "2026-04-24", "first_attempt_on": None, "delivered_on": None,
    "last_scan_on": "2026-04-20", "last_scan_town": "Gent", "declared_value": "0.00", "address_changes": 0,
    "today": "2026-04-20",
}  # fmt: skip
LATE = {"status": "DLV", "state": "delivered", "promised_on": "2026-04-14", "first_attempt_on": "2026-04-15"}
ADDRESS = {"street": "Meir 24", "postcode": "2000", "city": "Antwerp"}
NOT_ASKED = {action.value: {"asked": False, "words": None, "confidence": 0.9, "against": "unsure"} for action in Action}


@pytest.fixture(scope="module")
def classifier() -> IntentClassifier:
    return Classifiers(load_examples()).get(load_minilm().name, load_minilm().embed)


def sample(name: str) -> str:
    return files("pipelines.customer_operations.policies").joinpath(name).read_text("utf-8")


def decided(intent: str, **changes: Any) -> Decision:
    return decide(load_policy(), Case(intent, "c1", True, Order.read({**BOOKED, **changes}), ADDRESS))


def planned(intent: str, order: dict[str, Any] | None = None, **changes: Any) -> Decision:
    wish = {
        "intent": intent, "confidence": 0.95, "source": "classifier", "address": ADDRESS, "requests": NOT_ASKED,
        "alternatives": {}, "question": None, "is_aside": False, **changes,
    }  # fmt: skip
    found = Found({"customer_id": "c1", "is_verified": True}, {**BOOKED, **(order or {})}, None)
    return plan(load_policy(), load_replies(), wish, found, wants_person=False)[0]


def said(decision: Decision) -> str:
    return render(load_replies(), [(decision.code, decision.facts)], None)


@pytest.mark.parametrize("intent", ["cancel_order", "address_change", "order_status", "not_received", "lost_parcel"])
def test_a_status_that_no_rule_knows_is_left_to_a_person(intent: str) -> None:
    decision = decided(intent, status="NEW")
    assert (decision.code, decision.calls, decision.human) == ("handover", (), "facts_missing")
    assert decided(intent).human is None


@pytest.mark.parametrize("intent", ["cancel_order", "address_change", "lost_parcel"])
def test_a_state_that_no_rule_knows_is_left_to_a_person(intent: str) -> None:
    assert decided(intent, state="open").human == "facts_missing"
    assert decided("order_status", state="open").code == "status_other"


def test_a_refund_by_a_service_that_no_table_knows_is_left_to_a_person(folder: Path) -> None:
    assert decided("refund_late_delivery", service="NXT", **LATE).human == "facts_missing"
    assert decided("cancel_order", service="NXT").code == "cancelled_refunded"
    own = f'{sample("policy.toml")}\n[services]\nNXT = "express_24"\nECO = "other"\n'
    (folder / "policy.toml").write_text(own, encoding="utf-8")
    load_policy.cache_clear()
    due = decided("refund_late_delivery", service="NXT", **LATE)
    assert [call.operation for call in due.calls] == ["issue_refund"]
    assert decided("refund_late_delivery", service="ECO", **LATE).code == "refund_not_due"


def test_what_a_table_names_itself_is_known(folder: Path) -> None:
    own = sample("policy.toml").replace('statuses = ["LBL"]', 'statuses = ["NEW"]')
    (folder / "policy.toml").write_text(own, encoding="utf-8")
    assert decided("cancel_order", status="NEW").code == "cancelled_refunded"
    assert decided("cancel_order", status="TRN", state="in_transit").code == "cancel_not_possible"


@pytest.mark.parametrize(
    ("table", "known"),
    [
        ('[statuses]\nbooked = "NEW"', "LBL, LST, OFD"),
        ('[states]\nbooked = "open"', "booked, canceled"),
        ('[services]\nbooked = "NEW"', "express_12, express_24, other, standard"),
    ],
)
def test_a_mapping_to_a_word_that_no_rule_knows_is_refused(folder: Path, table: str, known: str) -> None:
    (folder / "policy.toml").write_text(f"{sample('policy.toml')}\n{table}\n", encoding="utf-8")
    with pytest.raises(Unavailable, match="booked: no rule knows the word on its right") as refused:
        load_policy()
    assert known in refused.value.detail
    assert not any(word in refused.value.detail for word in ("NEW", "open"))


@pytest.mark.parametrize(
    ("theirs", "wrong"),
    [
        ('status_other = "order {order} is {status}."', "decisions.status_other: the text is missing"),
        ('cancelled = "Please cancel {order}."', "requests.cancelled: the text is missing"),
        ('LBL = "booked, and not handed over yet"', "statuses.LBL: the text is missing"),
    ],
)
def test_a_text_that_is_missing_is_named(folder: Path, theirs: str, wrong: str) -> None:
    assert theirs in sample("replies.toml")
    (folder / "replies.toml").write_text(sample("replies.toml").replace(theirs, ""), encoding="utf-8")
    with pytest.raises(Unavailable, match=wrong):
        load_replies()


@pytest.mark.parametrize(
    ("mine", "theirs", "wrong"),
    [
        ("cancel {order}.", "cancel {order_id}.", "requests.cancelled: there is a fact in braces that is none of"),
        (
            '= "order {order} is {status}."',
            '= "order {order is."',
            "status_other: a brace has no counterpart",
        ),
        ("Dear {name},", "Beste {naam},", "greeting: there is a fact in braces that is none of name"),
    ],
)
def test_facts_that_are_never_given_are_named(folder: Path, mine: str, theirs: str, wrong: str) -> None:
    (folder / "replies.toml").write_text(sample("replies.toml").replace(mine, theirs, 1), encoding="utf-8")
    with pytest.raises(Unavailable, match=wrong):
        load_replies()


@pytest.mark.parametrize(
    ("intent", "order"),
    [
        ("cancel_order", {}),
        ("address_change", {}),
        ("refund_late_delivery", LATE),
        ("charged_twice", {**LATE, "promised_on": "2026-04-24", "times_charged": 2}),
        ("lost_parcel", {"state": "lost", "status": "LST"}),
        ("order_status", {"status": "TRN", "state": "in_transit", "last_scan_on": "2026-04-10"}),
        *((each, LATE) for each in ("not_received", "damaged_item", "return_request", "invoice_question", "complaint")),
    ],
)
def test_the_offered_sentence_leads_to_what_it_offers_when_it_is_sent_back(
    classifier: IntentClassifier, intent: str, order: dict[str, Any]
) -> None:
    offer = planned(intent, order)
    assert offer.code == "offered"
    assert "ord_12" not in said(offer)

    sentence, embed = offer.facts["request"], load_minilm().embed
    reader = WishReader(load_policy(), load_reader(), lambda texts: classifier.guess_together(texts, embed(texts)))
    own = reader.own(sentence)
    [wish] = reader.read(sentence, own, judge(own, load_policy().request))
    assert wish.order == "VH-300012"
    found = Found({"customer_id": "c1", "is_verified": True}, {**BOOKED, **order}, None)
    done = plan(load_policy(), load_replies(), wish.plain(), found, wants_person=False)[0]
    assert (done.code, done.human) == (decided(intent, **order).code, None)
    assert done.calls


@pytest.mark.parametrize(
    ("intent", "changes"),
    [
        ("order_status", {"status": "OFD"}),
        ("order_status", {"status": "TRN"}),
        ("not_received", {"status": "TRN"}),
        ("refund_late_delivery", {"status": "TRN"}),
    ],
)
def test_an_estimate_that_has_passed_is_told_as_past(intent: str, changes: dict[str, Any]) -> None:
    ahead = said(decided(intent, **changes))
    assert "24 April 2026" in ahead
    assert "late" not in ahead
    assert "It was expected on 19 April 2026, and is late." in said(
        decided(intent, promised_on="2026-04-19", **changes)
    )
    assert "late" not in said(decided(intent, promised_on="2026-04-20", **changes))


def test_an_estimate_that_is_not_known_is_not_spoken_of() -> None:
    assert "estimate" not in said(decided("order_status", promised_on=None, status="TRN"))


def test_dates_are_written_as_the_company_writes_them(folder: Path) -> None:
    own = sample("replies.toml").replace("{day} {month} {year}", "{day} {month}").replace('"April"', '"avril"')
    (folder / "replies.toml").write_text(own, encoding="utf-8")
    assert "for delivery is 24 avril." in said(decided("order_status", status="TRN"))


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ("Thanks for the refund of VH-300012!", "handover"),
        ("You refunded VH-300012 last week, that was great.", "handover"),
        ("When do I get my refund for VH-300012?", "refund_none"),
        ("I have not received my refund for VH-300012 yet.", "refund_none"),
    ],
)
def test_thanks_for_a_refund_are_not_contradicted(message: str, code: str) -> None:
    guessed = Guess("refund_status", 0.95, (("order_status", 0.01),))
    reader = WishReader(load_policy(), load_reader(), lambda _: guessed)
    own = reader.own(message)
    wish = reader.whole(message, own, judge(own, load_policy().request)).plain()
    found = Found({"customer_id": "c1", "is_verified": True}, BOOKED, None)
    assert plan(load_policy(), load_replies(), wish, found, wants_person=False)[0].code == code


class OtherIds(FaultyClient):
    """The sample system with ids of its own for orders, which customers do not know."""

    def __init__(self) -> None:
        super().__init__()
        self.looked_up: list[str] = []

    def call(
        self, server: ToolServer, tool: str, arguments: Mapping[str, Any], *, check: Callable[[], None] | None = None
    ) -> dict[str, Any]:
        if tool == "get_order":
            self.looked_up.append(arguments["reference"])
        answer = super().call(server, tool, arguments, check=check)
        for order in [answer, *answer.get("orders", ())]:
            if "order_id" in order:
                order.update(order_id=order["order_id"].replace("VH-", "ord_"), reference=order["order_id"])
        return answer


def test_the_only_order_in_question_is_found_by_the_number_that_customers_know(desk: Desk) -> None:
    client = OtherIds()
    output = desk.resolve(letter("Where is my parcel?"), client=client)
    assert (output.decision, output.order, client.looked_up) == ("status_told", "ord_300016", ["VH-300016"])
    assert "VH-300016" in output.reply
    assert "ord_" not in output.reply


@pytest.mark.parametrize(
    ("parcel", "says"),
    [
        ("VHD300007", "our estimate for delivery is 22 April 2026"),
        ("VHD300008", "It was expected on 10 April 2026, and is late."),
        ("VHD300009", "Parcel VHD300009 is delivered; the last scan was in Aachen."),
    ],
)
def test_the_tracking_page_tells_an_estimate_only_while_there_is_one(desk: Desk, parcel: str, says: str) -> None:
    output = desk.resolve(letter(f"Where is my parcel {parcel}?", None))
    assert output.decision == "tracking_told"
    assert says in output.reply


def test_the_tracking_page_is_read_in_the_companys_own_words(desk: Desk, folder: Path) -> None:
    own = f'{sample("policy.toml")}\n[statuses]\nTRN = "DEP"\n'
    (folder / "policy.toml").write_text(own, encoding="utf-8")
    assert "at the delivery depot" in desk.resolve(letter("Where is my parcel VHD300007?", None)).reply
    wish = {"intent": "order_status", "confidence": 0.95, "source": "classifier", "requests": NOT_ASKED}
    found = Found(None, {"tracking": "VHD300007", "status": "NEW"}, None)
    of_page = plan(
        load_policy(), load_replies(), {**wish, "question": None, "is_aside": False}, found, wants_person=False
    )[0]
    assert (of_page.code, of_page.human) == ("handover", "facts_missing")
