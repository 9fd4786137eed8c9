"""Messages in unusual constructions, through the graph on a real sample system; its own rows say what was done."""

from collections.abc import Sequence

import pytest

from tests.evals.customer_operations.requests import run_messages
from tests.factories.operations import Desk

SHOP, MILA, PRIYA = "orders@zonnig.example", "mila.janssen@example.org", "priya.nair@example.org"
ANNA = "anna.kowalska@example.org"
CANCELED, LATE, TWICE, MOVED = (
    ["cancel_order", "issue_refund 12.60"], ["issue_refund 24.30"], ["issue_refund 33.50"], ["change_address"],
)  # fmt: skip

SPEAKING = [
    (SHOP, "Cancel VH-300005? Over my dead body."),
    (SHOP, "cancel? no, leave it. VH-300005"),
    (SHOP, "I told your colleague to cancel VH-300005, but keep it."),
    (SHOP, "I had told your colleague to cancel VH-300005, and I'm glad that he didn't."),
    (SHOP, "When my husband writes that VH-300005 should be cancelled, be so kind as to pretend you haven't read it."),
    (SHOP, "If it has not shipped, cancel VH-300005."),
    (SHOP, "Only after I've confirmed it by phone are you to cancel VH-300005."),
    (SHOP, "There's nothing I'd like less than to see VH-300005 cancelled."),
    (SHOP, "It's not that I want VH-300005 cancelled. It's that I want to know how one would go about it."),
    (SHOP, "Neither cancel VH-300005 nor change anything about it."),
    (SHOP, "Cancel VH-300005. That's what I would write if I were my partner."),
    (SHOP, "Please cancel, and I mean the newsletter, not VH-300005."),
    (SHOP, "Suppose VH-300006 had been charged twice. You'd pay one back, wouldn't you?"),
    (SHOP, "Whoever asks you to pay back the second charge of VH-300006, it isn't me."),
    (MILA, "Refund VH-300001? I'd be ashamed to ask."),
    (MILA, "I'm told that you refund late parcels such as VH-300001. Are you sure that you can afford that?"),
    (MILA, "You needn't refund VH-300001, the seller has."),
    (MILA, "Refund for VH-300001: declined by me, thanks for offering."),
    (MILA, "A refund of VH-300001 would have been nice. Too late."),
    (ANNA, "Eight days for VH-300003, bravo! I really should be paying you a bonus."),
    (ANNA, "VH-300017 is lost, so they say. Don't pay me anything before I've looked under the stairs."),
    (PRIYA, "VH-300010 to Meir 24, 2000 Antwerp? No no, that's last year's address."),
    (PRIYA, "Before you send VH-300010 to Meir 24, 2000 Antwerp, ring me, I haven't made up my mind."),
]
OTHER_LANGUAGES = [
    (SHOP, "Bitte stornieren Sie VH-300005."),
    (SHOP, "Bitte VH-300005 auf keinen Fall stornieren."),
    (SHOP, "Veuillez annuler la commande VH-300005, s'il vous plaît."),
    (SHOP, "Surtout n'annulez pas la commande VH-300005."),
    (SHOP, "Por favor, cancele el pedido VH-300005."),
    (SHOP, "No cancele el pedido VH-300005, por favor."),
    (MILA, "Ik wil mijn geld terug voor VH-300001, graag."),
]
ASKING = [
    (SHOP, "Please do NOT forget to cancel VH-300005.", CANCELED),
    (SHOP, "Don't keep VH-300005. Cancel it.", CANCELED),
    (SHOP, "I never thought I'd say this, but cancel VH-300005 please.", CANCELED),
    (SHOP, "Cancel VH-300005, and no, I'm not joking.", CANCELED),
    (SHOP, "Why is VH-300005 still open? Cancel it, please.", CANCELED),
    (SHOP, "There's no way I'm paying twice for VH-300006. Return the second payment.", TWICE),
    (MILA, "I won't say no to getting my money back for VH-300001, so please refund it.", LATE),
    (MILA, "Nobody but me may ask for it, so I do: refund VH-300001, it came late.", LATE),
    (PRIYA, "No, not to my flat. Bring VH-300010 to Meir 24, 2000 Antwerp, please.", MOVED),
    (PRIYA, "Please don't hesitate to send VH-300010 to Meir 24, 2000 Antwerp instead, I live there now.", MOVED),
]


def done(desk: Desk, messages: Sequence[tuple[str, str]]) -> list[list[str]]:
    asked = [{"id": "", "kind": "", "from": sender, "message": message} for sender, message in messages]
    return [list(outcome.effects) for outcome in run_messages(desk.library, desk.attached, asked)]


@pytest.mark.parametrize("messages", [SPEAKING, OTHER_LANGUAGES], ids=["speaking", "other languages"])
def test_what_only_speaks_of_an_action_changes_nothing(desk: Desk, messages: list[tuple[str, str]]) -> None:
    found = dict(zip((message for _, message in messages), done(desk, messages), strict=True))
    assert {message: effects for message, effects in found.items() if effects} == {}


def test_what_asks_in_an_unusual_form_is_done(desk: Desk) -> None:
    found = done(desk, [(sender, message) for sender, message, _ in ASKING])
    missed = {
        message: effects for (_, message, wanted), effects in zip(ASKING, found, strict=True) if effects != wanted
    }
    # "… and no, I'm not joking" sounds like mockery to the reader. It is left to a person, and nothing else is done.
    assert len(missed) <= 1, missed
    assert not any(missed.values())
