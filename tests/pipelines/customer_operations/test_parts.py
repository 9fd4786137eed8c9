"""Messages that name several orders, taken apart; no model takes part."""

import pytest

from pipelines.customer_operations.consent.own_words import sentences
from pipelines.customer_operations.consent.parts import PARTS_MAX, divide
from pipelines.customer_operations.policies.tables import load_policy

A, B, C = "VH-300001", "VH-300002", "VH-300003"
DIVIDED = [
    (f"Please cancel {A} and {B}.", [f"Please cancel {A}.", f"Please cancel {B}."]),
    (f"Cancel {A} and refund {B}, it was late.", [f"Cancel {A}", f"and refund {B}, it was late."]),
    (f"Cancel {A} and {B} was charged twice.", [f"Cancel {A}", f"and {B} was charged twice."]),
    (f"Refund {A}, {B} and {C} please", [f"Refund {A} please", f"Refund {B} please", f"Refund {C} please"]),
    (f"{A} and {B} were late. Refund both.", [f"{A} were late. Refund both.", f"{B} were late. Refund both."]),
    (f"Don't cancel {A}, cancel {B}.", [f"Don't cancel {A}", f"cancel {B}."]),
    (f"Hello! {A} is fine. {B} is not. It broke.", [f"Hello! {A} is fine.", f"{B} is not. It broke."]),
    (f"{A} broke. {B} too. {A} first.", [f"{A} broke. {A} first.", f"{B} too."]),
]


@pytest.mark.parametrize(("message", "texts"), DIVIDED)
def test_each_order_gets_what_is_said_of_it(message: str, texts: list[str]) -> None:
    parts = divide(sentences(message), load_policy().order_pattern)

    assert [part.text for part in parts] == texts
    assert all(whole in message for part in parts for _, whole in part.said)


@pytest.mark.parametrize(
    "message",
    [
        "Please cancel it.",
        f"Please cancel {A}, I mean it: {A}.",
        f"Cancel {A} or {B}.",
        f"Neither {A} nor {B}.",
        f"Instead of {A} take {B}.",
        " ".join(f"Cancel VH-30000{number}." for number in range(PARTS_MAX + 1)),
    ],
)
def test_what_cannot_be_told_apart_stays_whole(message: str) -> None:
    assert divide(sentences(message), load_policy().order_pattern) == []


def test_the_words_are_shown_as_they_are_written() -> None:
    message = f"Please cancel {A} and {B}."
    first, second = divide(sentences(message), load_policy().order_pattern)

    assert first.written(first.text) == second.written(second.text) == message
