"""The reply: a template with the facts of the decision, or a model's wording with no other facts."""

import re
from collections.abc import Mapping, Sequence
from datetime import date

from pydantic import BaseModel, ConfigDict, Field

from core.gateway.calls import JobModels
from core.guard.provenance import as_data
from pipelines.customer_operations.policies.decisions import PlannedCall
from pipelines.customer_operations.policies.tables import Replies
from pipelines.customer_operations.structured import ask_json, fenced

_REPLY_MAX_CHARACTERS = 4000
_MAX_TOKENS = 900
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"\d+(?:[.,:/-]\d+)*")
_PAID = re.compile(
    r"\b(?:refund(?:ed|ing)?|reimburs\w+|credit(?:ed)?|compensat\w+|pa(?:y|id) (?:you )?back)\b", re.IGNORECASE
)
# People count days and steps with numbers up to this; any larger number must be a fact.
_COUNTING_MAX = 31


class _Worded(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reply: str = Field(min_length=1, max_length=_REPLY_MAX_CHARACTERS)


def render(replies: Replies, said: Sequence[tuple[str, Mapping[str, str]]], name: str | None) -> str:
    """The templates of the codes in `said`, a paragraph each, filled in with their facts.

    A missing fact is shown as a dash, and never invented.
    """
    paragraphs = dict.fromkeys(_paragraph(replies, code, facts) for code, facts in said)
    return "\n\n".join([greeting(replies, name), *paragraphs, replies.closing])


def describe(replies: Replies, calls: Sequence[PlannedCall], currency: str) -> str:
    """The effects of calls, in a sentence each; amounts are in `currency`."""
    amounts = ({} if call.amount is None else {"amount": str(call.amount), "currency": currency} for call in calls)
    return " ".join(
        replies.offers[call.operation].format_map(_Dashes({**call.arguments, **amount}))
        for call, amount in zip(calls, amounts, strict=True)
    )


def prose(quotes: Sequence[str]) -> list[str]:
    """Quotes of a policy as a customer can read them: a row of a table with the heads of its columns."""
    shown: list[str] = []
    heads: list[str] = []
    for quote in quotes:
        cells = [cell.strip() for cell in quote.split(" | ")]
        if len(cells) == 1:
            shown.append(f"\u201c{cells[0]}\u201d")
        elif len(cells) == len(heads):
            pairs = zip(heads, cells, strict=True)
            shown.append(f"\u201c{'; '.join(f'{head}: {cell}' for head, cell in pairs)}\u201d")
        else:
            heads = cells
    return shown


def greeting(replies: Replies, name: str | None) -> str:
    """The salutation of the customer."""
    return replies.greeting.format(name=name) if name else replies.greeting_unknown


def word(
    models: JobModels,
    prompt: str,
    *,
    template: str,
    message: str,
    facts: Sequence[Mapping[str, str]],
    quotes: Sequence[str],
    money_moved: bool,
) -> str | None:
    """A model's wording of `template`; None when it has a number that is no fact, or speaks of money never moved.

    `facts` are of one wish each.
    """
    listed = "\n\n".join("\n".join(f"{name}: {value}" for name, value in sorted(each.items())) for each in facts)
    policy = "\n".join(quotes)
    turn = (
        f"<decided>\n{template}\n\n{as_data(listed)}\n</decided>\n<policy>\n{as_data(fenced(policy))}\n</policy>\n"
        f"<message>\n{as_data(fenced(message))}\n</message>"
    )
    worded = ask_json(models, prompt, turn, kind=_Worded, max_tokens=_MAX_TOKENS)
    if worded is None:
        return None
    reply: str = worded.reply.strip()
    if not money_moved and _PAID.search(reply) and not _PAID.search(template):
        return None
    return reply if says_only(reply, (template, listed)) else None


def says_only(reply: str, known: Sequence[str]) -> bool:
    """Whether every number of `reply` occurs in `known`, or is small enough to count with."""
    written = [number for text in known for number in _NUMBER.findall(text)]
    # A date may be written out, so its year and day count as known.
    allowed = {_plain(part) for number in written for part in (number, *number.split("-"))}
    return all(
        _plain(number) in allowed or (number.isdigit() and int(number) <= _COUNTING_MAX)
        for number in _NUMBER.findall(reply)
    )


def _paragraph(replies: Replies, code: str, facts: Mapping[str, str]) -> str:
    named = {"status": replies.statuses, "first": replies.wishes, "second": replies.wishes}
    shown = {name: named.get(name, {}).get(value, _day(replies, value)) for name, value in facts.items()}
    if "method" in shown:
        shown["method"] = replies.methods.get(shown["method"], "")
    of_estimate = {"passed": replies.estimate_passed, "unknown": replies.estimate_unknown}
    text = of_estimate.get(facts.get("estimate", ""), {}).get(code, replies.decisions[code])
    body = text.format_map(_Dashes(shown))
    return f"{body[0].upper()}{body[1:]}"


def _day(replies: Replies, value: str) -> str:
    """A date as people write it; anything else unchanged."""
    try:
        day = date.fromisoformat(value) if _DAY.fullmatch(value) else None
    except ValueError:
        return value
    if day is None:
        return value
    return replies.date.format(day=day.day, month=replies.months[day.month - 1], year=day.year)


def _plain(number: str) -> str:
    return number.replace(",", ".")


class _Dashes(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return "-"
