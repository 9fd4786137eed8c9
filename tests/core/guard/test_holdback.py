"""Streams that hold back: whatever the pieces are, what comes out is what the whole text gives, and nothing raw."""

import json
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.guard.holdback import HOLD_CHARACTERS, STEP_CHARACTERS, RedactingStream, Restorer
from core.guard.personal.candidates import resolve
from core.guard.personal.recognition import find_patterns
from core.guard.policy import CombinedPolicy, GuardPolicy, Rule
from core.guard.records import Action, Decision, Direction, EntityKind, RedactionMode, Source
from core.guard.rewriting import rewrite
from core.guard.screening import screen
from core.guard.tokens import Token
from core.kit.errors import Unavailable
from tests.factories.listed_analyzer import ListedAnalyzer

VALUES = {Token("person", 1): "Anna Schmidt", Token("date_of_birth", 12): "1 May 1980"}
NAMES = ("Anna Schmidt", "Ben Okafor")
SECRETS = (*NAMES, "anna.schmidt@example.org", "+49 30 1234567", "sk-abcdefghijklmnop1234")
KEYS = ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "password: kR7#vq2Lx9!tZ")
ANALYZER = ListedAnalyzer(*NAMES)

words = st.sampled_from(["the", "parcel", "left.", "On\n", "a<b", "<PERSON", "_1>", "<", ">", "2 < 3", *SECRETS])
texts = st.lists(words, max_size=120).map(" ".join)


def pieces_of(text: str, cuts: Sequence[int]) -> list[str]:
    edges = [0, *sorted({cut % (len(text) + 1) for cut in cuts}), len(text)]
    return [text[start:end] for start, end in pairwise(edges)]


def decide(text: str) -> list[Decision]:
    return [Decision(each, Action.REDACT, RedactionMode.MASK) for each in ANALYZER.analyze([text])[0]]


def name(kind: str, value: str, mode: RedactionMode) -> str:
    assert mode is RedactionMode.MASK, f"{len(value)} characters of {kind}"
    return f"<{kind.upper()}>"


def test_a_token_is_restored_across_every_border() -> None:
    text = "Dear <PERSON_1>, born <Date_Of_Birth_12>: 1 < 2, <PERSON_2>, <PERSON_1 <B> <<PERSON_1>> <PERSON_"
    whole = "Dear Anna Schmidt, born 1 May 1980: 1 < 2, <PERSON_2>, <PERSON_1 <B> <Anna Schmidt> <PERSON_"
    for first in range(len(text) + 1):
        for second in range(first, len(text) + 1):
            restorer = Restorer(VALUES.get)
            pieces = (text[:first], text[first:second], text[second:])
            assert "".join(map(restorer.feed, pieces)) + restorer.end() == whole


def test_nothing_is_held_back_that_cannot_become_a_token() -> None:
    restorer = Restorer(VALUES.get)
    assert restorer.feed("a < b and <PER") == "a < b and "
    assert restorer.feed("SON 1") == "<PERSON 1"
    assert restorer.feed("<" + "x" * 60) == "<" + "x" * 60


@given(texts, st.lists(st.integers(0, 10_000), max_size=12))
@settings(max_examples=150)
def test_restoring_a_stream_is_restoring_the_text(text: str, cuts: list[int]) -> None:
    whole = Restorer(VALUES.get)
    restorer = Restorer(VALUES.get)
    shown = "".join(map(restorer.feed, pieces_of(text, cuts))) + restorer.end()
    assert shown == whole.feed(text) + whole.end()


@given(texts, st.lists(st.integers(0, 10_000), max_size=40))
@settings(max_examples=150)
def test_redacting_a_stream_is_redacting_the_text(text: str, cuts: list[int]) -> None:
    stream = RedactingStream(decide, name)
    shown = "".join(map(stream.feed, pieces_of(text, cuts))) + stream.end()
    assert shown == rewrite(text, decide(text), name).text
    assert not [secret for secret in SECRETS if secret in shown]


@pytest.mark.parametrize("secret", SECRETS)
def test_a_value_is_found_across_every_border_and_every_place_of_the_window(secret: str) -> None:
    for before in range(HOLD_CHARACTERS - 40, HOLD_CHARACTERS + STEP_CHARACTERS + 40, 7):
        text = "word " * (before // 5) + "x" * (before % 5) + " " + secret + " and so on" * 60
        at = text.index(secret)
        for cut in range(at, at + len(secret) + 1):
            stream = RedactingStream(decide, name)
            shown = stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.end()
            assert shown == rewrite(text, decide(text), name).text


@pytest.mark.parametrize("secret", KEYS)
def test_a_key_is_found_across_every_border_by_the_recognizers_without_a_model(secret: str) -> None:
    def decide_on_keys(text: str) -> list[Decision]:
        found = [each for each in resolve(find_patterns(text)) if each.kind == EntityKind.SECRET]
        return [Decision(each, Action.REDACT, RedactionMode.MASK) for each in found]

    text = "word " * (HOLD_CHARACTERS // 5) + secret + " and so on" * 60
    whole = rewrite(text, decide_on_keys(text), name).text
    assert "<SECRET>" in whole
    at = text.index(secret)
    for cut in range(at, at + len(secret) + 1, 5):
        stream = RedactingStream(decide_on_keys, name)
        assert stream.feed(text[:cut]) + stream.feed(text[cut:]) + stream.end() == whole


def test_no_more_is_held_than_the_longest_value_and_a_step() -> None:
    stream = RedactingStream(decide, name)
    shown = fed = 0
    for _ in range(1_000):
        shown += len(stream.feed("word "))
        fed += 5
        assert fed - shown <= HOLD_CHARACTERS + STEP_CHARACTERS + 10


def test_a_run_without_spaces_stays_whole_and_is_not_held_for_ever() -> None:
    key = "sk-" + "a1" * 3_000
    stream = RedactingStream(decide, name)
    shown = "".join(stream.feed(piece) for piece in pieces_of(f"It is {key} ok", range(0, 6_000, 50))) + stream.end()
    assert shown == "It is <SECRET> ok"
    endless = RedactingStream(decide, name)
    pieces = ["sk-", *["a1" * 50] * 200, " and", " on"]
    assert "".join(map(endless.feed, pieces)) + endless.end() == "<SECRET> and on"


def test_a_stream_whose_analyzer_dies_gives_nothing_more() -> None:
    analyzer = ListedAnalyzer(*NAMES, dies_after=2)

    def screen(text: str) -> list[Decision]:
        return [Decision(each, Action.REDACT, RedactionMode.MASK) for each in analyzer.analyze([text])[0]]

    stream = RedactingStream(screen, name)
    shown: list[str] = []
    with pytest.raises(Unavailable):
        shown.extend(stream.feed("Write to Anna Schmidt today. ") for _ in range(100))
    assert "Anna" not in "".join(shown)
    analyzer.revive()
    assert stream.feed("Anna Schmidt") + stream.end() == ""


def test_a_stream_that_breaks_off_gives_nothing_more() -> None:
    stream = RedactingStream(decide, name)
    assert stream.feed("Anna Schmidt") == ""
    stream.drop()
    assert stream.end() == ""


# Letters that JSON writes with six characters each: such a value is longer than what a stream holds otherwise.
LONG = "Аннамария-Елизавета Константинопольская-Преображенская из Нижнего Новгорода"
LONG_ANALYZER = ListedAnalyzer(*NAMES, LONG)


def decide_on_escaped(text: str) -> list[Decision]:
    policy = CombinedPolicy([GuardPolicy(rules=(Rule(action=Action.REDACT, mode=RedactionMode.MASK),))])
    found = screen(
        [text],
        policy=policy,
        direction=Direction.TO_CLIENT,
        source=Source.MODEL_OUTPUT,
        analyzer=LONG_ANALYZER,
    )
    return list(found.decisions)


@settings(max_examples=60)
@given(st.lists(st.sampled_from(["the", "parcel,", "ё", LONG, *NAMES]), max_size=40).map(" ".join), st.integers(1, 400))
def test_a_stream_of_escaped_json_comes_out_as_the_whole_would(text: str, size: int) -> None:
    written = json.dumps({"answer": text})
    stream = RedactingStream(decide_on_escaped, name)
    pieces = [written[at : at + size] for at in range(0, len(written), size)]
    out = "".join(map(stream.feed, pieces)) + stream.end()
    assert out == rewrite(written, decide_on_escaped(written), name).text
    shown = json.loads(out)["answer"]
    assert not [value for value in (*NAMES, LONG) if value in shown]
