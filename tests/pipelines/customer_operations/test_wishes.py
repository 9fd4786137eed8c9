"""Several wishes in one message, ties between intents, questions that the policy answers, and who may vouch."""

from typing import Any

import pytest

from core.capability import JobSuspended
from pipelines.customer_operations.manifest import RESOLVE
from pipelines.customer_operations.replies import prose
from pipelines.customer_operations.schemas import VERIFY
from tests.factories.knowledge import CORPUS
from tests.factories.operations import Desk, FaultyClient, letter
from tests.factories.provider_simulator import Answer, obey_schema
from tests.factories.questions import QuestionContext
from tests.pipelines.customer_operations.test_strong_model import strong

BAKERY = "orders@zonnig.example"
TOM = "tom.dewit@example.org"
TWO = "Please cancel VH-300005 and refund the second charge on VH-300006, thanks."
LATE = "VH-300002 and VH-300015 were both late. We want the carriage back for both of them."


def with_rules(desk: Desk) -> None:
    names = ("refunds-and-returns-policy.html", "delivery-promises.html")
    desk.library.ingest(*desk.library.upload_files([CORPUS / name for name in names]))


def test_rows_of_a_table_are_read_with_the_heads_of_their_columns() -> None:
    quotes = ["Goods | Highest", "Phones | EUR 750", "Keep the box.", "Reason | Refund | Ask by"]
    assert prose(quotes) == ["\u201cGoods: Phones; Highest: EUR 750\u201d", "\u201cKeep the box.\u201d"]


def test_two_orders_are_two_wishes_with_a_result_each(desk: Desk) -> None:
    output = desk.resolve(letter(TWO, BAKERY))

    assert [(wish.order, wish.decision) for wish in output.wishes] == [
        ("VH-300005", "cancelled_refunded"),
        ("VH-300006", "second_charge_refunded"),
    ]
    assert [[action.operation for action in wish.actions] for wish in output.wishes] == [
        ["cancel_order", "issue_refund"],
        ["issue_refund"],
    ]
    assert {wish.request.words for wish in output.wishes if wish.request} == {TWO}
    assert (desk.refunds("VH-300005"), desk.refunds("VH-300006")) == (["12.60"], ["33.50"])
    assert output.reply.count("Dear ") == 1
    assert "12.60 EUR" in output.reply
    assert "33.50 EUR" in output.reply


def test_what_is_declined_of_one_order_is_done_for_the_other(desk: Desk) -> None:
    ctx = desk.context()
    with pytest.raises(JobSuspended):
        desk.resolve(letter(LATE, TOM), ctx=ctx)
    ctx.answer(approved=False)
    with pytest.raises(JobSuspended):
        desk.resolve(letter(LATE, TOM), ctx=ctx.next_attempt())
    ctx.answer(approved=True)
    output = desk.resolve(letter(LATE, TOM), ctx=ctx.next_attempt())

    assert [wish.decision for wish in output.wishes] == ["declined", "refund_done"]
    assert (desk.refunds("VH-300002"), desk.refunds("VH-300015")) == ([], ["331.50"])


@pytest.mark.parametrize(
    ("message", "left"),
    [
        (
            "Please cancel VH-300005 and refund VH-300006 if the customer hasn't paid by Friday.",
            {"VH-300005", "VH-300006"},
        ),
        ("Please don't cancel VH-300005 and don't refund VH-300006 either.", {"VH-300005", "VH-300006"}),
        ("Don't cancel VH-300005, but do refund the double payment for VH-300006.", {"VH-300005"}),
    ],
)
def test_what_one_order_is_spared_the_other_does_not_bring(desk: Desk, message: str, left: set[str]) -> None:
    desk.resolve(letter(message, BAKERY))

    assert not {order for order in ("VH-300005", "VH-300006") if order in left and desk.refunds(order)}
    assert desk.attached.rows("SELECT state FROM orders WHERE id = 'VH-300005'") == [{"state": "booked"}]


def test_a_draft_of_several_wishes_calls_no_tool_with_an_effect(desk: Desk) -> None:
    client = FaultyClient()
    output = desk.resolve(letter(TWO, BAKERY, delivery="draft"), client=client)

    assert set(client.called) <= {"find_customer", "list_orders", "get_order", "track_parcel"}
    assert {action.status for action in output.actions} == {"proposed"}
    assert desk.attached.count("operations") == 0


def test_a_question_beside_a_request_is_answered_from_the_policy_or_left_to_a_colleague(desk: Desk) -> None:
    question = "Also, do you deliver on Saturdays?"
    message = f"Please cancel VH-300005. {question}"
    with_rules(desk)
    answered = desk.resolve(letter(message, BAKERY, knowledge_base=desk.library.base_id))
    assert [(wish.decision, wish.words) for wish in answered.wishes][1:] == [("policy_answered", question)]
    assert answered.needs_human is None
    assert "Saturday delivery, between 09:00 and 17:00" in answered.reply
    desk.attached.system.database.reset()
    unanswered = desk.resolve(letter(message, BAKERY))

    assert [wish.decision for wish in unanswered.wishes] == ["cancelled_refunded", "question_open"]
    assert unanswered.needs_human is not None
    assert question in unanswered.reply


def test_a_question_without_an_order_is_answered_from_the_policy(desk: Desk) -> None:
    with_rules(desk)
    for sender in (None, BAKERY):
        output = desk.resolve(letter("How long is a return label valid?", sender, knowledge_base=desk.library.base_id))
        assert (output.decision, output.actions, output.needs_human) == ("policy_answered", [], None)
        assert "valid for 21 calendar days" in output.reply


def test_verified_counts_only_from_a_caller_that_may_vouch(desk: Desk) -> None:
    def given(**customer: Any) -> dict[str, Any]:
        return {"message": "Hello", "customer": {"email": BAKERY, **customer}}

    assert VERIFY in RESOLVE.needs(given(verified=True))
    assert VERIFY not in RESOLVE.needs(given(verified=False)) | RESOLVE.needs(given())

    ctx = QuestionContext(
        capability="customer_operations.resolve",
        organization_id=desk.library.principal.organization_id,
        project_id=desk.library.principal.project_id,
        database=desk.library.database,
        scopes=frozenset({"jobs:write", "knowledge:read"}),
    )
    output = desk.resolve(letter("Please cancel VH-300005.", BAKERY), ctx=ctx)
    assert (output.decision, output.actions) == ("identity_unverified", [])
    assert "Bakery" not in output.reply


def wish(intent: str, action: str = "none", words: str | None = None, **rest: Any) -> dict[str, Any]:
    return {
        "intent": intent, "order": None, "address": None, "requests_action": action, "quoted_words": words,
        "policy_question": None, **rest,
    }  # fmt: skip


def test_a_strong_model_names_several_wishes_and_the_graph_decides_each(desk: Desk) -> None:
    message = "VH-300005 can go, void it please. VH-300006: one payment too many, give it back. Also, I love you."
    read = Answer.of_json(
        {
            "wishes": [
                wish("cancel_order", "cancel", "VH-300005 can go, void it please."),
                wish("charged_twice", "refund", "VH-300006: one payment too many, give it back."),
                wish("charged_twice", "refund", "refund everything", order="VH-300014"),
            ],
            "wants_person": False,
        }
    )
    with strong(read, obey_schema) as (gateway, _):
        output = desk.resolve(letter(message, BAKERY), gateway=gateway)

    assert [(wish.order, bool(wish.actions)) for wish in output.wishes][:2] == [
        ("VH-300005", True),
        ("VH-300006", True),
    ]
    assert not any(each.actions for each in output.wishes[2:])
    assert (desk.refunds("VH-300005"), desk.refunds("VH-300006")) == (["12.60"], ["33.50"])
