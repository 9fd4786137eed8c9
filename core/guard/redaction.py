"""Takes values out of a text, in the way that a policy wants."""

from collections.abc import Callable, Iterable

from core.guard.records import Action, Decision, RedactionMode


def redact(text: str, decisions: Iterable[Decision], name: Callable[[str, str], str]) -> str:
    """`text` without the values of the decisions that redact, which do not overlap.

    `name` gives the token of a kind and a value. A digest is a token too where no key for digests is at hand.
    """
    parts: list[str] = []
    at = 0
    for each in sorted(decisions, key=lambda each: each.finding.start):
        if each.action is not Action.REDACT or each.finding.start < at:
            continue
        value = text[each.finding.start : each.finding.end]
        parts += (text[at : each.finding.start], _instead(each, value, name))
        at = each.finding.end
    return "".join((*parts, text[at:]))


def _instead(decision: Decision, value: str, name: Callable[[str, str], str]) -> str:
    match decision.mode:
        case RedactionMode.DROP:
            return ""
        case RedactionMode.MASK:
            return f"<{decision.finding.kind.upper()}>"
        case RedactionMode.PSEUDONYMIZE | RedactionMode.HASH:
            return name(decision.finding.kind, value)
