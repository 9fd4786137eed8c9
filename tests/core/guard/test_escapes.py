"""Texts whose letters JSON has escaped: what they say, and where."""

import json
from time import thread_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.guard.escapes import unescape
from core.guard.policy import CombinedPolicy, GuardPolicy, Rule
from core.guard.records import Action, Direction, EntityKind, Source
from core.guard.rewriting import rewrite
from core.guard.screening import screen
from tests.factories.identifiers import IDENTIFIERS, LETTER, POLICY, Listed, leaked

NAME = IDENTIFIERS[EntityKind.PERSON]


class Analyzer:
    """Knows the corpus."""

    def analyze(self, texts, kinds=None):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN201
        return Listed().find(texts, kinds)


def redacted(text: str, policy: GuardPolicy = POLICY) -> str:
    combined = CombinedPolicy([policy])
    found = screen(
        [text],
        policy=combined,
        direction=Direction.TO_CLIENT,
        source=Source.MODEL_OUTPUT,
        analyzer=Analyzer(),
    )
    return rewrite(text, found.decisions, lambda kind, _value, _mode: f"<{kind.upper()}>").text


def test_what_is_not_escaped_is_read_as_it_is() -> None:
    assert unescape(f"{NAME} went left") is None
    assert unescape("a \\ alone, and C:\\dir") is None


@pytest.mark.parametrize("value", [NAME, "𠮷野家", "a\tb", 'O"Kafor', "12 Harbour Street\nGdynia"])
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_value_is_found_where_it_was_escaped(value: str, times: int) -> None:
    text = f"before {value} after, and {value}"
    for _ in range(times):
        text = json.dumps(text)
    said = unescape(text)
    assert said is not None
    assert said.text.count(value) == 2
    for at in (said.text.index(value), said.text.rindex(value)):
        start, end = said.original(at, at + len(value))
        written = text[start:end]
        assert written != value
        meant = unescape(written)
        assert meant is not None
        assert meant.text == value


@given(st.text())
def test_every_place_is_led_back_to_one_that_says_the_same(text: str) -> None:
    written = json.dumps(f"\n{text}")
    said = unescape(written)
    assert said is not None
    assert said.original(0, len(said.text)) == (0, len(written))
    starts = [said.original(at, at)[0] for at in range(len(said.text) + 1)]
    assert starts == sorted(set(starts))


def test_what_names_no_letter_becomes_none() -> None:
    for written in (r"\u0000", r"\ud83d half", r"\udc00"):
        said = unescape(written)
        assert said is not None
        assert said.text[0] == "\ufffd"


@pytest.mark.parametrize("unit", ["\\", "\\u", "\\\\ud83d", "\\n\\u00eb"])
def test_it_takes_linear_time(unit: str) -> None:
    began = thread_time()
    unescape(unit * 20_000)
    assert thread_time() - began < 2.0


def test_identifiers_are_redacted_in_json_and_in_json_within_json() -> None:
    once = json.dumps({"answer": LETTER})
    assert leaked(once) == list(IDENTIFIERS.values())
    assert json.loads(redacted(once)).keys() == {"answer"}
    for written in (once, json.dumps({"arguments": once}), f"he said {once}"):
        assert leaked(redacted(written)) == []
        assert redacted(written).count("<PERSON>") == 1


def test_an_allowed_value_is_allowed_however_it_is_written() -> None:
    policy = POLICY.model_copy(update={"allow": (NAME,)})
    written = json.dumps(f"{NAME}, {IDENTIFIERS[EntityKind.PHONE]}")
    assert redacted(written, policy) == json.dumps(f"{NAME}, <PHONE>")


def test_what_is_found_in_both_is_found_once() -> None:
    policy = CombinedPolicy([GuardPolicy(rules=(Rule(action=Action.DETECT),))])
    found = screen(
        [json.dumps(LETTER)],
        policy=policy,
        direction=Direction.TO_CLIENT,
        source=Source.MODEL_OUTPUT,
        analyzer=Analyzer(),
    )
    assert found.counts() == {kind: {"detect": 1} for kind in IDENTIFIERS}
