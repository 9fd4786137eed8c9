"""Redaction that can be undone: places of the new text lead back to the old one."""

from core.guard.records import Action, Decision, Finding, RedactionMode
from core.guard.rewriting import clusters, literals, rewrite


def found(kind: str, start: int, end: int, mode: RedactionMode = RedactionMode.PSEUDONYMIZE) -> Decision:
    return Decision(Finding(kind, start, end, 0.9, "test"), Action.REDACT, mode)


def name(kind: str, value: str, mode: RedactionMode) -> str:
    return f"<{kind.upper()}_{len(value)}>"


def test_places_lead_back_to_the_text_as_it_was() -> None:
    old = "Ask Anna Schmidt at +49 301234567 on Monday."
    new = rewrite(old, [found("phone", 20, 33), found("person", 4, 16)], name)
    assert new.text == "Ask <PERSON_12> at <PHONE_13> on Monday."
    for quote, original in (
        ("Ask ", "Ask "),
        ("<PERSON_12> at", "Anna Schmidt at"),
        ("<PERSON_12>", "Anna Schmidt"),
        ("at <PHONE_13> on", "at +49 301234567 on"),
        ("PHONE_", "+49 301234567"),
        ("Monday.", "Monday."),
    ):
        at = new.text.index(quote)
        start, end = new.original(at, at + len(quote))
        assert old[start:end] == original


def test_overlapping_findings_are_one_and_leave_nothing_of_either() -> None:
    decisions = [found("person", 0, 8), found("address", 4, 20), found("person", 20, 24)]
    assert [(each.start, each.end, each.inside[0].finding.kind) for each in clusters(decisions)] == [
        (0, 20, "address"),
        (20, 24, "person"),
    ]
    assert rewrite("a" * 30, decisions, name).text == "<ADDRESS_20><PERSON_4>aaaaaa"


def test_what_only_is_detected_stays_and_what_looks_like_a_token_is_named() -> None:
    text = "Is <PERSON_1> or <person_22> or <PERSON> meant?"
    assert rewrite(text, [Decision(found("person", 0, 2).finding, Action.DETECT)], name).text == text
    assert rewrite(text, literals(text), name).text == "Is <LITERAL_10> or <LITERAL_11> or <PERSON> meant?"
