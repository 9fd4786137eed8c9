import pytest

from core.gateway.embeddings.minilm import load_minilm
from core.gateway.extraction.comparisons import Comparison, comparison_of
from core.gateway.extraction.quotes import answer_of
from core.gateway.models import Passage

TARIFF = Passage(
    "tariff",
    "What | Loan period | Fine per day\nBooks | 4 weeks | 20p\nFilms and games | 1 week | 50p\n"
    "Magazines | 2 weeks | 10p",
    "rules.md",
    section="Rules of the library > Loans",
)
MODELS = Passage(
    "models",
    " | LX-400 | LX-600\nHighest speed | 150 mm/s | 200 mm/s\nWeight | 9.8 kg | 14.5 kg",
    "manual.md",
    section="Manual of the label printer > 2 Technical data",
)


@pytest.mark.parametrize(
    ("question", "first", "other"),
    [
        ("Is a urine test cheaper than a blood count?", "Is a urine test cheaper?", "a blood count"),
        ("Which prints faster, the LX-400 or the LX-600?", "Which prints faster, the LX-400?", "the LX-600"),
        ("Is the tug or the lightship longer?", "Is the tug longer?", "the lightship"),
        ("What is the difference between a lease and a loan?", "What is the   a lease?", "a loan"),
        ("How do color and gray prints differ?", "How do color?", "gray prints"),
    ],
)
def test_the_two_things_that_are_compared(question: str, first: str, other: str) -> None:
    assert comparison_of(question) == Comparison(first, other)


@pytest.mark.parametrize(
    "question",
    [
        "How many parcels weigh more than 20 kg?",
        "Who approves a refund of more than EUR 250?",
        "Can orders or gift cards be refunded?",
        "When is another driver or helper needed?",
        "What is more expensive?",
        "",
    ],
)
def test_what_compares_nothing(question: str) -> None:
    assert comparison_of(question) is None


@pytest.mark.parametrize(
    ("question", "said"),
    [
        (
            "Is the loan period of magazines longer than that of films?",
            ["Magazines \u2013 Loan period: 2 weeks", "Films and games \u2013 Loan period: 1 week"],
        ),
        (
            "Which is heavier, the LX-400 or the LX-600?",
            ["Weight \u2013 LX-400: 9.8 kg", "Weight \u2013 LX-600: 14.5 kg"],
        ),
    ],
)
def test_both_things_are_said(question: str, said: list[str]) -> None:
    answer = answer_of(question, [TARIFF, MODELS], load_minilm(), lambda: None)
    assert [quote.text for quote in answer.quotes] == said


def test_a_thing_that_is_not_there_is_named() -> None:
    answer = answer_of("Which is heavier, the LX-400 or the LX-800?", [MODELS], load_minilm(), lambda: None)
    assert [quote.text for quote in answer.quotes] == ["Weight \u2013 LX-400: 9.8 kg"]
    assert answer.unanswered == ("the LX-800",)
