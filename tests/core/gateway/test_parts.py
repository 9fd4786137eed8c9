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
            "How long is the trial period, and what notice applies during it?",
            ("How long is the trial period?", "what notice applies during the trial period?"),
        ),
        (
            "How much is a reservation and how long is it kept?",
            ("How much is a reservation?", "how long is a reservation kept?"),
        ),
        ("Who is the nurse, and when is she there?", ("Who is the nurse?", "when is the nurse there?")),
        ("Who is the clerk and when are his hours?", ("Who is the clerk?", "when are the clerk's hours?")),
        ("Who teaches German and in which room?", ("Who teaches German?", "in which room teaches German?")),
        ("When and where does the board meet?", ("When does the board meet?", "where does the board meet?")),
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
        "What is it and why?",
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
