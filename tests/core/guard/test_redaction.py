"""Texts without what was found in them, and the view that shows it."""

import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from core.guard.records import Action, Decision, Finding, RedactionMode
from core.guard.redaction import Names, highlight, redact


def decision(  # noqa: PLR0917 - one finding
    start: int,
    end: int,
    kind: str = "person",
    action: Action = Action.REDACT,
    mode: RedactionMode = RedactionMode.PSEUDONYMIZE,
    score: float = 0.8,
) -> Decision:
    return Decision(Finding(kind, start, end, score, "rule"), action, mode)


def test_the_same_value_has_the_same_name_and_every_mode_its_form() -> None:
    text = "Ada met Bob, and Ada called 555"
    ada, bob, again = decision(0, 3), decision(8, 11), decision(17, 20)
    assert redact(text, [again, ada, bob], Names()) == "<PERSON_1> met <PERSON_2>, and <PERSON_1> called 555"
    phones = {mode: redact(text, [decision(28, 31, "phone", mode=mode)], Names())[28:] for mode in RedactionMode}
    assert re.fullmatch("<PHONE:[0-9a-f]{12}>", phones.pop(RedactionMode.HASH))
    assert phones == {RedactionMode.MASK: "<PHONE>", RedactionMode.PSEUDONYMIZE: "<PHONE_1>", RedactionMode.DROP: ""}


def test_what_is_only_detected_stays_and_what_is_blocked_goes() -> None:
    text = "abc def"
    decisions = [decision(0, 3, action=Action.DETECT), decision(4, 7, "secret", Action.BLOCK, RedactionMode.MASK)]
    assert redact(text, decisions, Names()) == "abc <SECRET>"


def test_findings_that_overlap_leave_nothing_of_either() -> None:
    text = "John Smith Falcon arrived"
    assert redact(text, [decision(5, 17, "code", score=0.9), decision(0, 10)], Names()) == "<CODE_1> arrived"


def test_the_view_is_escaped_and_shows_the_strictest() -> None:
    text = "<b>Ada</b> & more"
    whole = decision(0, len(text), "injection", Action.DETECT)
    shown = highlight(text, [whole, decision(3, 6)])
    assert '<mark class="redact" data-kind="person" data-score="0.80" data-recognizer="rule">Ada</mark>' in shown
    assert shown.count('<mark class="detect" data-kind="injection"') == 2
    assert "<b>" not in shown
    assert highlight(text, []) == "&lt;b&gt;Ada&lt;/b&gt; &amp; more"


@given(
    text=st.text(alphabet="ab<>&\"' \n", min_size=1, max_size=40),
    places=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 20), st.sampled_from(list(Action)[1:])), max_size=6),
)
def test_of_any_findings_the_view_holds_the_text_and_the_redacted_text_no_found_character(
    text: str, places: list[tuple[int, int, Action]]
) -> None:
    decisions = [
        decision(start, min(start + length, len(text)), action=action, mode=RedactionMode.DROP)
        for start, length, action in places
        if start < len(text)
    ]
    assert unescape(re.sub("<[^>]*>", "", highlight(text, decisions))) == text
    hidden = {
        at
        for each in decisions
        if each.action is not Action.DETECT
        for at in range(each.finding.start, each.finding.end)
    }
    assert redact(text, decisions, Names()) == "".join(sign for at, sign in enumerate(text) if at not in hidden)
