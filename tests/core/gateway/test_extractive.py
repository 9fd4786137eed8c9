import pytest

from core.capability import JobCancelled
from core.gateway.embeddings.minilm import load_minilm
from core.gateway.errors import InvalidRequest
from core.gateway.models import ChatRequest, Finish, Passage, Question, Text
from core.gateway.providers.extractive import NO_ANSWER, NOT_ANSWERED_TOO, Extractive

FERRY = Passage(
    "ferry",
    "The ferry to Texel leaves Den Helder every hour from 06:30. The crossing takes 20 minutes. Dogs travel free of"
    " charge on deck. In winter the last boat leaves at 21:30.",
    "Island guide",
    page=4,
    section="Getting there",
)
BIKES = Passage(
    "bikes",
    "Bicycles can be hired at the harbour. A day costs EUR 12.50, e.g. from shop no. 3. Helmets are not included.",
    "Island guide",
    page=5,
    section="Bicycles",
)
FEES = Passage(
    "fees", "Vehicle | Summer | Winter\nCar | EUR 37.00 | EUR 25.00\nMotorcycle | EUR 8.00 | EUR 5.50", "Tariffs"
)
PACK = Passage(
    "pack",
    "Bring the following on the mud-flat walk:\n- high shoes that may get wet\n- a whistle\n- dry clothes in a bag\n\n"
    "Guides carry a radio.",
    "Island guide",
)
CLAIMS = Passage(
    "claims",
    "The deadlines below are counted from the day after the event. A claim that arrives late is refused.\n\n"
    "Event | Claim opens | Claim closes\n"
    "Visible damage | at delivery, noted by the driver | 48 hours after delivery, with photographs\n"
    "Hidden damage or missing contents | at delivery | 7 calendar days after delivery\n"
    "Loss, zone 1 | 5 working days after the last scan | 60 calendar days after hand-over\n"
    "Marked delivered but not received | at the delivery scan | 14 calendar days after the delivery scan",
    "claims-policy.pdf",
    section="Claims Policy > 3. When to claim",
)
APPROVAL = Passage(
    "approval",
    "Refund per shipment | Approved by\nup to EUR 50.00 | agent, alone\nEUR 50.01 to EUR 250.00 | team lead\n"
    "above EUR 250.00 | team lead and finance controller together",
    "refunds-policy.html",
    section="Refunds Policy > 4. Who may approve a refund",
)
PRICES = Passage(
    "prices",
    "Chargeable weight | Zone 1 | Zone 2 | Zone 3\nup to 2 kg | 4.45 | 6.90 | 9.40\nup to 5 kg | 5.25 | 8.20 | 11.20\n"
    "up to 10 kg | 6.70 | 10.40 | 14.40",
    "price-sheet.pdf",
    section="Price Sheet > 2. Parcels",
)
ALL = (FERRY, BIKES, FEES, PACK)


@pytest.fixture(scope="module")
def model() -> Extractive:
    return Extractive(load_minilm)


def go_on() -> None:
    """A check that never ends the call."""


def ask(model: Extractive, question: str, *passages: Passage, limit: int = 400) -> tuple[str, Finish | None]:
    request = ChatRequest.of_parts((*(passages or ALL), Question(question)), max_output_tokens=limit)
    stream = model.stream(request, check=go_on)
    return "".join(chunk.text for chunk in stream), stream.finish


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("How long does the crossing take?", "The crossing takes 20 minutes."),
        ("What does it cost to hire a bicycle for a day?", "A day costs EUR 12.50, e.g. from shop no. 3."),
        ("When does the last ferry leave in winter?", "In winter the last boat leaves at 21:30."),
        ("Can dogs travel on the ferry free of charge?", "Dogs travel free of charge on deck."),
        ("What do I have to bring on the mud-flat walk?", "Bring the following on the mud-flat walk:\nhigh shoes"),
    ],
)
def test_the_sentence_that_answers_comes_first(model: Extractive, question: str, expected: str) -> None:
    text, finish = ask(model, question)
    assert text.startswith(expected)
    assert finish is Finish.STOP


def test_a_table_is_read_as_row_by_column_with_its_heads(model: Extractive) -> None:
    text, _ = ask(model, "What does a motorcycle cost in winter?")
    assert text == "Motorcycle \u2013 Winter: EUR 5.50"


def test_a_quote_says_how_likely_it_answers(model: Extractive) -> None:
    request = ChatRequest.of_parts((*ALL, Question("What does a motorcycle cost in winter?")))
    (chunk,) = model.stream(request, check=go_on)
    assert all(cited.confidence is not None and 0.5 <= cited.confidence <= 1 for cited in chunk.citations)
    evidence = ChatRequest.of_parts((*ALL, Question("What does a motorcycle cost in winter?", seeks_evidence=True)))
    assert {cited.confidence for chunk in model.stream(evidence, check=go_on) for cited in chunk.citations} == {None}


def test_a_row_is_proven_by_its_header_and_itself(model: Extractive) -> None:
    request = ChatRequest.of_parts((*ALL, Question("What does a motorcycle cost in winter?")))
    (chunk,) = model.stream(request, check=go_on)
    assert [FEES.text[cited.start : cited.end] for cited in chunk.citations] == [
        "Vehicle | Summer | Winter",
        "Motorcycle | EUR 8.00 | EUR 5.50",
    ]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        # Every row that the question means, and no other row of the table.
        (
            "When does a claim for damage close?",
            (
                "Visible damage \u2013 Claim closes: 48 hours after delivery, with photographs\n"
                "Hidden damage or missing contents \u2013 Claim closes: 7 calendar days after delivery"
            ),
        ),
        ("Who approves a refund of EUR 180?", "EUR 50.01 to EUR 250.00 \u2013 Approved by: team lead"),
        ("What does a 3 kg parcel cost in zone 2?", "up to 5 kg \u2013 Zone 2: 8.20"),
    ],
)
def test_the_row_that_is_meant(model: Extractive, question: str, expected: str) -> None:
    assert ask(model, question, CLAIMS, APPROVAL, PRICES)[0] == expected


@pytest.mark.parametrize(
    "question",
    [
        "What does a 3 kg parcel cost in zone 4?",  # no such column
        "What does a 40 kg parcel cost in zone 2?",  # beyond every row
        "Who is the manager of the Lyon hub?",  # no such name
        "What is the telephone number for refunds?",  # no such kind of answer
        "How many claims were filed in 2019?",  # no such year
    ],
)
def test_what_the_question_names_must_stand_there(model: Extractive, question: str) -> None:
    assert ask(model, question, CLAIMS, APPROVAL, PRICES)[1] is Finish.NO_ANSWER


def test_each_part_of_a_question_is_answered(model: Extractive) -> None:
    text, finish = ask(model, "How long does the crossing take, and when does the last boat leave in winter?")
    assert text == "The crossing takes 20 minutes. In winter the last boat leaves at 21:30."
    assert finish is Finish.STOP


def test_a_part_that_nothing_answers_is_named(model: Extractive) -> None:
    request = ChatRequest.of_parts((*ALL, Question("How long does the crossing take, and who is the captain of Lyon?")))
    stream = model.stream(request, check=go_on)
    answer, said = list(stream)
    assert answer.text == "The crossing takes 20 minutes."
    assert (said.text, said.citations) == (f"\n{NOT_ANSWERED_TOO} who is the captain of Lyon?", ())
    assert stream.usage.output_tokens <= model.bound(request)["output_tokens"]


def test_what_it_says_itself_keeps_to_the_limit(model: Extractive) -> None:
    question = "How long does the crossing take, and who is the captain of Lyon?"
    text, finish = ask(model, question, limit=8)
    assert (text, finish) == ("The crossing takes 20 minutes.", Finish.LENGTH)


def test_when_no_part_is_answered_there_is_no_answer(model: Extractive) -> None:
    question = "Who is the captain of Lyon, and how many guests may the moon carry?"
    assert ask(model, question) == (NO_ANSWER, Finish.NO_ANSWER)


def test_an_announced_list_comes_with_all_its_items(model: Extractive) -> None:
    text, _ = ask(model, "What do I have to bring on the mud-flat walk?")
    assert all(item in text for item in ("\nhigh shoes", "\na whistle", "\ndry clothes"))


@pytest.mark.parametrize(
    "question",
    [
        "Who won the football world cup in 2014?",
        "How do I reset my password?",
        "What is the boiling point of mercury?",
        "Which vaccinations does my cat need?",
    ],
)
def test_it_abstains_when_nothing_answers(model: Extractive, question: str) -> None:
    assert ask(model, question) == (NO_ANSWER, Finish.NO_ANSWER)


def test_it_abstains_without_passages(model: Extractive) -> None:
    request = ChatRequest.of_parts((Question("Anything?"),))
    stream = model.stream(request, check=go_on)
    chunks = list(stream)
    assert [(chunk.text, chunk.citations) for chunk in chunks] == [(NO_ANSWER, ())]
    assert stream.finish is Finish.NO_ANSWER


def test_every_sentence_is_a_quote_of_its_citation(model: Extractive) -> None:
    texts = {passage.id: passage.text for passage in ALL}
    for question in ("How long does the crossing take?", "What do I have to bring on the mud-flat walk?"):
        for chunk in model.stream(ChatRequest.of_parts((*ALL, Question(question))), check=go_on):
            (citation,) = chunk.citations
            assert texts[citation.passage_id][citation.start : citation.end] == chunk.text.strip()


def test_tokens_are_counted_by_the_tokenizer_of_the_embedding_model(model: Extractive) -> None:
    request = ChatRequest.of_parts((FERRY, Question("How long does the crossing take?")))
    stream = model.stream(request, check=go_on)
    assert (stream.usage.input_tokens, stream.usage.output_tokens) == (0, 0)
    chunks = list(stream)
    count = load_minilm().count_tokens
    assert stream.usage.input_tokens == count("How long does the crossing take?\n" + FERRY.text)
    assert stream.usage.output_tokens == sum(count(chunk.text) for chunk in chunks)
    assert not stream.usage.estimated


def test_the_limit_of_output_tokens_ends_the_answer_between_sentences(model: Extractive) -> None:
    text, finish = ask(model, "What do I have to bring on the mud-flat walk?", limit=12)
    assert text == "Bring the following on the mud-flat walk:"
    assert finish is Finish.LENGTH


def test_a_cancelled_answer_is_countable(model: Extractive) -> None:
    received: list[str] = []

    def check() -> None:
        if received:
            raise JobCancelled

    stream = model.stream(
        ChatRequest.of_parts((*ALL, Question("What do I have to bring on the mud-flat walk?"))), check=check
    )
    with pytest.raises(JobCancelled):
        received.extend(chunk.text for chunk in stream)
    assert len(received) == 1
    assert stream.usage.output_tokens == load_minilm().count_tokens(received[0])
    assert stream.finish is None


def test_a_request_without_a_question_is_refused(model: Extractive) -> None:
    with pytest.raises(InvalidRequest) as caught:
        model.stream(ChatRequest.of_parts((Text("hello"), FERRY)), check=go_on)
    assert caught.value.code == "question_missing"
    assert not caught.value.retryable
