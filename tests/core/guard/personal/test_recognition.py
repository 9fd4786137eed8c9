"""Texts of any size, in any number, in time that grows with them."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from core.guard.personal.candidates import resolve
from core.guard.personal.recognition import PART_LENGTH, PersonalDataRecognizer, find_patterns
from core.guard.records import EntityKind
from tests.evals.guard.personal import COVERED_MARK, MARKS, read_messages
from waybill.evals.guard.scores import score_of

SIZE = 16_000
RATIO_MAX = 8.0  # of a text four times as long: 4 when linear, 16 when quadratic


def test_names_in_running_text(recognizer: PersonalDataRecognizer) -> None:
    text = "Yesterday Margaret Thornhill told Peter Vance that she would call from Boston."
    findings = recognizer.find([text])[0]
    assert {(each.kind, text[each.start : each.end]) for each in findings} >= {
        (EntityKind.PERSON, "Margaret Thornhill"),
        (EntityKind.PERSON, "Peter Vance"),
        (EntityKind.LOCATION, "Boston"),
    }


@pytest.mark.parametrize("kinds", [{"secret"}, {"phone", "email", "address"}, {"injection"}])
def test_without_kinds_that_it_knows_the_language_model_reads_nothing(
    recognizer: PersonalDataRecognizer, kinds: set[str]
) -> None:
    texts = [example.text for example in read_messages()[:40]]
    assert recognizer.find(texts, frozenset(kinds)) == [resolve(find_patterns(text)) for text in texts]


@pytest.mark.parametrize("kind", ["person", "location", "organization"])
def test_a_kind_that_the_language_model_knows_is_found_as_when_all_are(
    recognizer: PersonalDataRecognizer, kind: str
) -> None:
    texts = [example.text for example in read_messages()[:40]]
    assert recognizer.find(texts, frozenset({kind, "secret"})) == recognizer.find(texts)


def test_no_text_and_empty_texts(recognizer: PersonalDataRecognizer) -> None:
    assert recognizer.find([]) == []
    assert recognizer.find(["", " ", "\n"]) == [[], [], []]


def test_findings_do_not_overlap_and_are_in_order(recognizer: PersonalDataRecognizer) -> None:
    examples = read_messages()
    for findings in recognizer.find([example.text for example in examples]):
        assert all(before.end <= behind.start for before, behind in pairwise(findings))


@pytest.mark.parametrize("offset", range(-30, 31, 3))
def test_a_value_across_the_border_of_two_parts_is_found_once(offset: int) -> None:
    value = "+49 30 901820"
    filler = "word " * (PART_LENGTH // 5)
    text = filler[: PART_LENGTH + offset] + " call " + value + " " + filler
    found = [text[each.start : each.end] for each in resolve(find_patterns(text)) if each.kind == EntityKind.PHONE]
    assert found == [value]


def test_a_batch_finds_what_each_text_holds_by_itself(recognizer: PersonalDataRecognizer) -> None:
    texts = [example.text for example in read_messages()[:40]]
    assert recognizer.find(texts) == [recognizer.find([text])[0] for text in texts]


def test_several_threads_at_once(recognizer: PersonalDataRecognizer) -> None:
    texts = [example.text for example in read_messages()[:12]]
    expected = [recognizer.find([text])[0] for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert [found[0] for found in pool.map(lambda text: recognizer.find([text]), texts)] == expected


@pytest.mark.parametrize(
    "piece",
    [
        "1",
        "1 ",
        "1-",
        "+1 ",
        "4111 1111 1111 1111 ",
        "DE89",
        "a",
        "A ",
        "Aa ",
        "1 Aa ",
        "1 Aa Street, ",
        "Aastr. 1, ",
        "a@",
        "a.",
        "a@b.c",
        ":",
        "1:",
        "1.1.1.1",
        "password ",
        "password=",
        "token: aB3",
        "-----BEGIN PRIVATE KEY-----",
        "eyJaaaaaaaaa.",
        "a://a:",
        "my name is ",
        "Dear Aa",
        "Mr. ",
        "born ",
        "Mary ",
        "Mary Aa ",
        "the corner of a and ",
        "\n",
        " ",
        "é",
        "Apt 1 ",
        "555 ",
    ],
)
def test_each_costs_in_proportion_to_the_text(piece: str) -> None:
    def seconds(size: int) -> float:
        text = (piece * (size // len(piece) + 1))[:size]
        begun = time.thread_time()
        resolve(find_patterns(text))
        return time.thread_time() - begun

    # What is not linear is so each time; a busy machine is slow at times.
    assert any((long := seconds(4 * SIZE)) < 0.05 or long <= RATIO_MAX * seconds(SIZE) for _ in range(3))


def test_a_long_text_is_read_in_proportion_by_the_model_too(recognizer: PersonalDataRecognizer) -> None:
    def seconds(size: int) -> float:
        text = ("Anna Miller met Bob Stone in Paris. " * (size // 36 + 1))[:size]
        begun = time.process_time()
        recognizer.find([text])
        return time.process_time() - begun

    assert any(seconds(2 * SIZE) <= RATIO_MAX * seconds(SIZE // 2) for _ in range(3))


def test_the_messages_of_several_countries_reach_their_marks(recognizer: PersonalDataRecognizer) -> None:
    examples = read_messages()
    score = score_of(examples, recognizer.find([example.text for example in examples]))
    assert {kind: score.kinds[kind].f2 >= mark for kind, mark in MARKS.items()} == dict.fromkeys(MARKS, True)
    assert score.covered >= COVERED_MARK
