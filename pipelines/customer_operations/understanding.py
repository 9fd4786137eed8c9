"""Reads the wishes of a message: by the classifier and the reader always, and by a model where one is available.

No reading of a model is trusted by itself: an intent has to be one of the list, and a number, an address, a question or
the words of a request have to occur in the message, letter by letter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from core.gateway.calls import JobModels
from core.gateway.routing import CHAT
from core.guard.provenance import as_data
from pipelines._kit.prompts import choose_prompt
from pipelines.customer_operations.consent.judgment import OwnMessage, Request, judge, judge_reading
from pipelines.customer_operations.consent.parts import PARTS_MAX
from pipelines.customer_operations.details import orders_named, stands_in
from pipelines.customer_operations.structured import ask_json, can_write, fenced
from pipelines.customer_operations.wishes import Wish, WishReader, is_open

PACKAGE = "pipelines.customer_operations"
_MAX_TOKENS = 1200


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Address(_Strict):
    street: str
    postcode: str
    city: str


class _Wish(_Strict):
    intent: str
    order: str | None
    address: _Address | None
    requests_action: Literal["cancel", "refund", "address", "report", "none"]
    quoted_words: str | None
    policy_question: str | None


class _Read(_Strict):
    """What a model answers."""

    wishes: Annotated[list[_Wish], Field(min_length=1, max_length=PARTS_MAX)]
    wants_person: bool


@dataclass(frozen=True, slots=True)
class Understood:
    """The wishes of the message, at least one; `prompts` are the digests of those that were used."""

    wishes: Sequence[Wish]
    wants_person: bool = False
    prompts: Mapping[str, str] = field(default_factory=dict)


def understand(models: JobModels, reader: WishReader, message: str) -> Understood:
    """Understand a message. An unusable answer of the model is ignored."""
    own = reader.own(message)
    judged = judge(own, reader.policy.request)
    if not can_write(models):
        return Understood(reader.read(message, own, judged))
    prompt = choose_prompt(models, models.resolve(CHAT), PACKAGE, "understand")
    prompts = {"understand": prompt.digest}
    read = _ask(models, prompt.text, message, reader)
    if read is None or any(wish.intent not in reader.policy.intents for wish in read.wishes):
        return Understood(reader.read(message, own, judged), prompts=prompts)
    whole = reader.whole(message, own, judged)
    wishes = [_checked(wish, whole, own, message, reader=reader, judged=judged) for wish in read.wishes]
    return Understood(_distinct(wishes), read.wants_person, prompts)


def _checked(
    read: _Wish, whole: Wish, own: OwnMessage, message: str, *, reader: WishReader, judged: Mapping[str, Request]
) -> Wish:
    """The parts of a model's reading that the message supports; the rest is taken from `whole`."""
    written = "\n".join([message, *(said["text"] for said in reader.thread)])
    shares = {whole.intent: whole.confidence, **whole.alternatives}
    words = read.quoted_words if read.quoted_words and read.quoted_words in message else None
    named = orders_named(words or "", reader.policy.order_pattern)
    order = read.order if read.order and stands_in(written, read.order) else None
    # The words of the request name the order better than a model does.
    order = reader.order or (named.pop() if len(named) == 1 else order or whole.order)
    address = whole.address
    if read.address is not None and all(stands_in(message, part) for part in read.address.model_dump().values()):
        address = read.address.model_dump()
    question = read.policy_question
    requests = judge_reading(own, message, action=read.requests_action, words=read.quoted_words, judged=judged)
    return replace(
        whole,
        intent=read.intent,
        confidence=shares.get(read.intent, 0.0),
        source="model",
        alternatives={name: share for name, share in shares.items() if name != read.intent},
        order=order,
        address=address,
        requests=requests,
        order_is_open=is_open(requests, own),
        question=question if question and question.strip() and question in message else None,
        words=words,
    )


def _distinct(wishes: Sequence[Wish]) -> list[Wish]:
    """Each wish once: a repeated request is carried out once."""
    found: dict[tuple[str, str | None, str | None], Wish] = {}
    for wish in wishes:
        found.setdefault((wish.intent, wish.order, wish.question), wish)
    return list(found.values())


def _ask(models: JobModels, system: str, message: str, reader: WishReader) -> _Read | None:
    said = "\n".join(f"{each['author']}: {each['text']}" for each in reader.thread)
    intents = list(reader.policy.intents)
    turn = (
        f"<kinds>\n{', '.join(intents)}\n</kinds>\n<thread>\n{as_data(fenced(said))}\n</thread>\n"
        f"<message>\n{as_data(fenced(message))}\n</message>"
    )
    schema = _Read.model_json_schema()
    schema["$defs"]["_Wish"]["properties"]["intent"] = {"type": "string", "enum": intents}
    return ask_json(models, system, turn, kind=_Read, schema=schema, max_tokens=_MAX_TOKENS)
