import pytest

from core.gateway.extraction.parts import parts_of


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        (
            "Who decides about EUR 620, and how long may the decision take?",
            ("Who decides about EUR 620?", "how long may the decision take?"),
        ),
        ("When did the belt stop and who was told first?", ("When did the belt stop?", "who was told first?")),
        (
            "What does the ferry cost? Can dogs travel on deck?",
            ("What does the ferry cost?", "Can dogs travel on deck?"),
        ),
        (
            "In which hub did it burn, and for how long did the line stand still, and what was the loss in parcels?",
            (
                "In which hub did it burn?",
                "for how long did the line stand still?",
                "what was the loss in parcels?",
            ),
        ),
    ],
)
def test_a_question_falls_into_what_it_asks(question: str, parts: tuple[str, ...]) -> None:
    assert parts_of(question) == parts


@pytest.mark.parametrize(
    "question",
    [
        "When and where does the board meet?",
        "What do customers and drivers need to know?",
        "Is the desk open on Sunday and closed on Monday?",
        "How long do couriers wait and then leave?",
        "The parcel is wet, and what was in it is lost. What do I get?",
        "Tell me what it costs and how it works and who pays for it and when it starts and where it ends.",
        "",
        "?",
    ],
)
def test_what_asks_one_thing_stays_whole(question: str) -> None:
    assert parts_of(question) == (question,)
