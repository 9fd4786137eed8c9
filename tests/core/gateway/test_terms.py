import pytest

from core.gateway.extraction.expectations import expectation_of
from core.gateway.extraction.sentences import split_sentences
from core.gateway.extraction.tables import rows_of
from core.gateway.extraction.terms import Worth, initials_of, is_named, names_of, question_terms, terms_of


@pytest.mark.parametrize(
    ("question", "text", "held"),
    [
        ("How heavy is the LX-400?", "Weight of the LX-400", True),
        ("How heavy is the LX-800?", "Weight of the LX-400", False),
        ("What is stored in Brazil?", "in the Brazilian forest", True),
        ("When did Setannta launch?", "a day after Setanta confirmed it", True),
        ("Who relieved C\u00e9loron?", "Celoron was relieved", True),
        ("What happened in 1620-21?", "in 1620\u201321 and again", True),
        ("Who leads the Lyon hub?", "the hub of Leipzig", False),
    ],
)
def test_names_stand_there_though_written_otherwise(question: str, text: str, *, held: bool) -> None:
    assert all(is_named(name, terms_of(text)) for name in names_of(question)) is held


def test_a_long_name_is_known_by_its_initials() -> None:
    assert "uk" in initials_of("Consumers in the United Kingdom pay")


def test_what_only_says_the_kind_of_answer_need_not_be_said() -> None:
    assert question_terms("How long is the token valid?") == question_terms("Is the token valid?")
    assert question_terms("What is the name of the surgeon?") == question_terms("Who is the surgeon?")


@pytest.mark.parametrize(
    ("question", "text", "contradicts"),
    [
        ("Who surveys the west?", "The surveyor for the north is Birgit Hansen", True),
        ("Who surveys the north?", "The northern surveyor is Birgit Hansen", False),
        ("What does breakfast cost?", "Lunch costs EUR 4.20", True),
        ("Who is the deputy of the director?", "The director is Salma Haddou", True),
        ("Who is the director?", "The deputy of the director is Salma Haddou", False),
        ("Can I work from Spain for a month?", "at most 20 days a year", False),
        ("What is the monthly fee?", "The fee is EUR 20 per year", True),
        ("How long is it open on the last Thursday?", "until 21:00 on the first Thursday", True),
        ("How wide is the lightship?", "Lightship Guillemot \u2013 Length: 36 m", True),
        ("How long is the lightship?", "Lightship Guillemot \u2013 Length: 36 m", False),
        ("What is paid to another area?", "Address change, same area: EUR 4.90", True),
    ],
)
def test_words_that_exclude_each_other(question: str, text: str, *, contradicts: bool) -> None:
    assert Worth(question, []).contradicts(terms_of(text)) is contradicts


@pytest.mark.parametrize(
    ("question", "cell", "head", "label", "fits"),
    [
        ("How long does a facial take?", "45", "Minutes", "Facial", True),
        ("How many days off do I get?", "2", "Days", "Own wedding", None),
        ("What does neutering cost?", "125", "Cat", "Neutering", True),
        ("Who checks the belt?", "technician", "Who", "Drive belt", None),
        ("When is the next meeting?", "board meeting", "What", "18 November", True),
        ("When is the next meeting?", "board meeting", "What", "office", False),
        ("At what time does it leave?", "within 24 hours", "Departure", "Leipzig", False),
        ("At what time does it leave?", "21:45", "Departure", "Leipzig", True),
        ("What did the tug cost?", "1931", "Built", "Tug", False),
        ("Where is the tug berthed?", "dry dock", "Berth", "Tug", None),
    ],
)
def test_a_cell_is_read_under_its_head(question: str, cell: str, head: str, label: str, *, fits: bool | None) -> None:
    assert expectation_of(question).fits_cell(cell, head, label) is fits


def test_years_are_heads_of_columns() -> None:
    text = " | 2023 | 2024\nRevenue | EUR 41.2 million | EUR 46.8 million\nEmployees | 212 | 236"
    rows = rows_of(text, split_sentences(text))
    assert [row.reading([2]) for row in rows.values()] == [
        "Revenue \u2013 2024: EUR 46.8 million",
        "Employees \u2013 2024: 236",
    ]


def test_where_something_closes_it_can_no_longer_be_filed() -> None:
    said = "Claim closes: 48 hours after delivery"
    assert "report" in expectation_of("How long may damage be reported?").implied(said)
    assert not expectation_of("Who may file a claim?").implied(said)


@pytest.mark.parametrize(
    ("question", "text", "fits"),
    [
        ("Who carved the figurehead?", "It comes from a barque that was wrecked off Anglesey.", False),
        ("Who carved the figurehead?", "It was carved by Thomas Blyth.", True),
        ("Who is the duty manager?", "All else is settled by the duty manager.", False),
        ("Who decides?", "It is decided by the duty manager.", True),
        ("What is the name of the process?", "The melting of rock is meant.", None),
        ("What is the name of the ship?", "The sunken ship is meant.", False),
        ("When a parcel is lost, what happens?", "A search begins.", None),
        ("How late is it open?", "It is open until 21:00.", True),
        ("How late is it open?", "It is open for 45 minutes.", False),
    ],
)
def test_the_kind_of_thing_that_is_asked_for(question: str, text: str, *, fits: bool | None) -> None:
    assert expectation_of(question).fits(text) is fits


def test_an_ordinal_in_a_compound_is_no_number() -> None:
    assert names_of("How much is paid for a second-hand laptop?") == []
    assert names_of("What does the second attempt cost?") == ["2"]


def test_a_unit_says_what_is_measured() -> None:
    assert "loud" in expectation_of("How loud is the printer?").implied("The noise level is 58 dB(A).")
    assert "loud" not in expectation_of("How loud is the printer?").implied("It weighs 58 kg.")


def test_what_the_kind_of_answer_stands_for_weighs_little() -> None:
    worth = Worth("How much tourist tax do I pay?", [])
    assert worth.share(terms_of("The tourist tax is EUR 2.80 a night")) > 0.8


def test_near_what_is_asked_for_the_words_of_the_question_count() -> None:
    worth = Worth("How many fumbles did Davis have?", [])
    text = "Davis led in sacks, and much later, after all that had been said of him on that day, there were four flags."
    assert worth.nearby(text, [text.index("four")]) == 0
    assert worth.nearby(text, [0]) > 0
