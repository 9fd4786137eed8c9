"""What a message wants: the classifier always says so, and a model that can may know better.

Nothing that a model reads out of a message is taken on its word: an intent has to be one of the list, and a number or
an address has to stand in the message, letter by letter.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from core.gateway.calls import JobModels
from core.gateway.models import Ability, ChatRequest, Text
from core.gateway.routing import CHAT
from core.guard.provenance import as_data
from core.kit.errors import CapabilityFailure
from core.kit.expressions import Expression
from core.kit.json_values import loads_foreign
from core.kit.logging import get_logger
from pipelines._kit.prompts import choose_prompt
from pipelines.customer_operations.consent.judgment import OwnMessage, Request, judge_reading
from pipelines.customer_operations.consent.reader import Action
from pipelines.customer_operations.intents.classifier import Guess

Read = TypeVar("Read", bound=BaseModel)
PACKAGE = "pipelines.customer_operations"
_MAX_TOKENS = 300
_log = get_logger(__name__)
_STREET = r"(?<![\w'.-])(?P<street>[^\W\d_][\w'.-]*(?: [\w'.-]+){0,4} \d+ ?[A-Za-z]?)"
_TOWN = r"(?P<postcode>\d{4} ?[A-Z]{2}|\d{2}-\d{3}|\d{4,5}),? (?P<city>[^\W\d_]+(?:[ -][A-ZÀ-Ž][^\W\d_]+){0,2})"
_ADDRESS = re.compile(rf"(?:\b(?:to|is|address|:)\s+)?{_STREET},?\s{{1,4}}{_TOWN}")
# What stands before an address that is not the new one, up to it.
_ELSEWHERE = re.compile(
    r"\b(?:not|never|instead of|rather than|old|previous|former|current)\b[^.!?,;:]{0,24}$|\bfrom (?:my |the )?$",
    re.IGNORECASE,
)
_LEADING = re.compile(r"^(?:.*\b(?:to|is|address:?|at)\s)", re.IGNORECASE)
# What an understood message knows about an address that is complete.
_ADDRESS_PARTS = ("street", "postcode", "city")


class _Address(BaseModel):
    model_config = ConfigDict(extra="forbid")

    street: str
    postcode: str
    city: str


class _Read(BaseModel):
    """What a model answers."""

    model_config = ConfigDict(extra="forbid")

    intent: str
    order: str | None
    address: _Address | None
    wants_person: bool
    requests_action: Literal["cancel", "refund", "address", "report", "none"]
    quoted_words: str | None


@dataclass(frozen=True, slots=True)
class Understood:
    """What the message wants, and what it names."""

    intent: str
    source: Literal["classifier", "model"]
    order: str | None = None
    address: Mapping[str, str] | None = None
    wants_person: bool = False
    requests: Mapping[str, Request] = field(default_factory=dict)
    prompts: Mapping[str, str] = field(default_factory=dict)


def can_write(models: JobModels) -> bool:
    """Whether the bound chat model writes answers that obey a schema."""
    abilities = models.resolve(CHAT).abilities
    return Ability.WRITES in abilities and Ability.JSON_SCHEMA in abilities


def understand(
    models: JobModels,
    guess: Guess,
    message: str,
    thread: Sequence[Mapping[str, str]],
    *,
    own: OwnMessage,
    requests: Mapping[str, Request],
    intents: Sequence[str],
    order_pattern: Expression,
) -> Understood:
    """Understand a message; `thread` are those before it, oldest first, with ``author`` and ``text``.

    `own` is what the customer says themselves in it, and `requests` are the actions that it asks for by
    `consent.judgment.judge`. A model's answer that cannot be used counts as none.
    """
    asked = [
        request.words
        for action, request in requests.items()
        if request.asked and request.words and action != Action.REPORT
    ]
    plain = Understood(
        guess.intent,
        "classifier",
        order=find_order(message, thread, order_pattern, first=(*asked, own.text)),
        address=find_address(own.text),
        requests=requests,
    )
    if not can_write(models):
        return plain
    prompt = choose_prompt(models, models.resolve(CHAT), PACKAGE, "understand")
    read = _ask(models, prompt.text, message, thread, intents)
    prompts = {"understand": prompt.digest}
    if read is None or read.intent not in intents:
        return replace(plain, prompts=prompts)
    written = "\n".join([message, *(said["text"] for said in thread)])
    order = read.order if read.order and _stands_in(written, read.order) else plain.order
    address = plain.address
    if read.address is not None and all(_stands_in(message, part) for part in read.address.model_dump().values()):
        address = read.address.model_dump()
    borne_out = judge_reading(own, message, action=read.requests_action, words=read.quoted_words, judged=requests)
    return Understood(read.intent, "model", order, address, read.wants_person, borne_out, prompts)


def find_order(
    message: str, thread: Sequence[Mapping[str, str]], pattern: Expression, *, first: Sequence[str] = ()
) -> str | None:
    """The order or tracking number that the customer wrote last; None when none or several stand there.

    `first` are pieces of the message that count before the whole of it: one that names a single order decides.
    """
    for text in first:
        found = orders_named(text, pattern)
        if len(found) == 1:
            return found.pop()
    own = [said["text"] for said in reversed(thread) if said["author"] == "customer"]
    for text in (message, *own):
        found = orders_named(text, pattern)
        if found:
            return found.pop() if len(found) == 1 else None
    return None


def orders_named(text: str, pattern: Expression) -> set[str]:
    """The numbers of orders and parcels in a text, in capitals."""
    return {named.upper() for named in pattern.all_in(text)}


def find_address(message: str) -> dict[str, str] | None:
    """The one complete address in a message: a street with a number, a postcode and a town.

    None when there are several, or when it is where something comes from or shall not go.
    """
    found = list(_ADDRESS.finditer(message))
    if len(found) != 1 or _ELSEWHERE.search(message[max(0, found[0].start("street") - 40) : found[0].start("street")]):
        return None
    parts = {name: found[0][name].strip() for name in _ADDRESS_PARTS}
    return {**parts, "street": _LEADING.sub("", parts["street"])}


def mentions(text: str, words: Sequence[str]) -> bool:
    """Whether one of `words` stands in `text` as a whole word or phrase."""
    pattern = "|".join(re.escape(word) for word in words)
    return re.search(rf"\b(?:{pattern})\b", text, re.IGNORECASE) is not None


def _ask(
    models: JobModels, system: str, message: str, thread: Sequence[Mapping[str, str]], intents: Sequence[str]
) -> _Read | None:
    said = "\n".join(f"{each['author']}: {each['text']}" for each in thread)
    turn = (
        f"<kinds>\n{', '.join(intents)}\n</kinds>\n<thread>\n{as_data(fenced(said))}\n</thread>\n"
        f"<message>\n{as_data(fenced(message))}\n</message>"
    )
    schema = _Read.model_json_schema()
    schema["properties"]["intent"] = {"type": "string", "enum": list(intents)}
    return ask_json(models, system, turn, kind=_Read, schema=schema, max_tokens=_MAX_TOKENS)


def ask_json(
    models: JobModels,
    system: str,
    turn: str,
    *,
    kind: type[Read],
    schema: Mapping[str, Any] | None = None,
    max_tokens: int,
) -> Read | None:
    """The model's answer as `kind`; None when it is something else, or when the model may or can not answer now.

    The tables decide without a model, so one that is down, too dear or not allowed to see the data stops nothing.
    """
    request = ChatRequest.of_parts(
        (Text(turn),),
        system=system,
        output_schema=schema or kind.model_json_schema(),
        output_name="answer",
        max_output_tokens=max_tokens,
    )
    try:
        with models.chat(CHAT, request) as stream:
            answer = "".join(chunk.text for chunk in stream)
    except CapabilityFailure as failure:
        _log.info("model_left_out", code=failure.code)
        return None
    try:
        return kind.model_validate(loads_foreign(answer))
    except (ValueError, ValidationError):
        return None


def fenced(text: str) -> str:
    """A stranger's text that cannot end the element it stands in."""
    return text.replace("</", "< /")


def _stands_in(text: str, part: str) -> bool:
    return bool(part.strip()) and part.strip().lower() in text.lower()
