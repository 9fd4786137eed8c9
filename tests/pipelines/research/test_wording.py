import pytest

from pipelines.research.planning.wording import divide


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("How long may a claim be filed?", ["How long may a claim be filed?"]),
        (
            "How are damaged parcels claimed, and what does extended cover cost?",
            ["How are damaged parcels claimed?", "What does extended cover cost?"],
        ),
        (
            "What caused the stop in Ghent, and what did it cost, and up to which value is that insured?",
            ["What caused the stop in Ghent?", "What did it cost?", "Up to which value is that insured?"],
        ),
        (
            "Who pays customs duties? When are parcels returned?",
            ["Who pays customs duties?", "When are parcels returned?"],
        ),
        (
            "Compare Express 12 and Express 24 in terms of price, guarantee and transit time",
            [
                "Express 12 and Express 24: price",
                "Express 12 and Express 24: guarantee",
                "Express 12 and Express 24: transit time",
            ],
        ),
        ("What is the difference between a hub and a depot?", ["A hub", "A depot"]),
        (
            "What are the rules for lithium batteries: labels, packaging and quantities?",
            [
                "What are the rules for lithium batteries: labels",
                "What are the rules for lithium batteries: packaging",
                "What are the rules for lithium batteries: quantities",
            ],
        ),
        (
            "Tell me about claims, customs and packaging",
            ["Tell me: claims", "Tell me: customs", "Tell me: packaging"],
        ),
        # One question with two predicates, and one with a list that belongs together.
        ("Which parcels are lost and is that refunded?", ["Which parcels are lost and is that refunded?"]),
        ("What happens to lost and damaged parcels?", ["What happens to lost and damaged parcels?"]),
        ("refund policy", ["Refund policy"]),
    ],
)
def test_a_question_is_divided_by_its_form(question: str, parts: list[str]) -> None:
    assert [part["question"] for part in divide(question, 8)] == parts


def test_what_speaks_of_it_is_searched_for_with_what_it_is() -> None:
    _, second = divide("What is extended cover? When must it be booked?", 8)
    assert second["query"] == "When must it be booked? (What is extended cover)"


def test_there_are_no_more_parts_than_asked_for_and_none_twice() -> None:
    assert len(divide("What is A1? What is B2? What is C3?", 2)) == 2
    assert len(divide("Who pays customs duties? Who pays customs duties?", 8)) == 1


@pytest.mark.parametrize("question", ["?", "...", "???", "(", "compare", "a: b, c", "and what", "\n", "between and"])
def test_odd_questions_stay_whole(question: str) -> None:
    assert len(divide(question, 8)) >= 1
