"""The wishes in each part of a message, read by the classifier and the reader of requests."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pipelines.customer_operations.consent.judgment import (
    NAMING,
    Against,
    OwnMessage,
    Request,
    judge,
    narrow,
)
from pipelines.customer_operations.consent.parts import PARTS_MAX, Part, divide
from pipelines.customer_operations.consent.reader import Action, Manner, Reading, RequestReader
from pipelines.customer_operations.details import find_address, find_order, orders_named
from pipelines.customer_operations.intents.classifier import Guess
from pipelines.customer_operations.policies.tables import Policy

QUESTIONS_MAX = 2
_ALTERNATIVES = 3
_WORDS_MIN = 4
_LIKELY = 0.5
# A part in one of these manners has a wish. In the others there is nothing to do.
_WANTING = frozenset({Manner.REQUEST, Manner.QUESTION})
# A part in one of these manners tells of something that happened.
_LOOKING_BACK = frozenset({Manner.THANKS, Manner.PAST})
# One sentence in one of these manners may be about the whole message.
_UNDIVIDED = frozenset({Manner.WITHDRAWAL, Manner.INJECTION, Manner.SARCASM})
_GENERAL = frozenset({Manner.QUESTION, Manner.OTHER})

# Texts of one part to a guess of its intent.
Guesser = Callable[[Sequence[str]], Guess]


@dataclass(frozen=True, slots=True)
class Wish:
    """One wish of a message. `question` is a sentence that the policy may answer, whatever the intent is.

    `is_aside`: it is only a question besides other wishes. `order_is_open`: no order may be assumed.
    `looks_back`: it only tells of something that happened, as thanks do.
    """

    intent: str
    confidence: float
    source: Literal["classifier", "model"]
    alternatives: Mapping[str, float]
    order: str | None
    address: Mapping[str, str] | None
    requests: Mapping[str, Request]
    orders_named: int = 0
    order_is_open: bool = False
    looks_back: bool = False
    question: str | None = None
    is_question: bool = False
    is_aside: bool = False
    words: str | None = None

    def plain(self) -> dict[str, Any]:
        """As a dictionary for a graph's state."""
        requests = {name: request.plain() for name, request in self.requests.items()}
        return {**asdict(self), "alternatives": dict(self.alternatives), "requests": requests}


@dataclass(frozen=True, slots=True)
class WishReader:
    """Reads messages with `reader`, and intents with `guess`, by `policy`."""

    policy: Policy
    reader: RequestReader
    guess: Guesser
    order: str | None = None
    thread: Sequence[Mapping[str, str]] = field(default_factory=tuple)

    def own(self, message: str) -> OwnMessage:
        """The customer's own words in `message`."""
        return OwnMessage(message, self.policy.order_pattern, self.reader)

    def read(self, message: str, own: OwnMessage, judged: Mapping[str, Request]) -> list[Wish]:
        """The wishes of `message`, at least one; `own` and `judged` are its own words and their requests."""
        parts = [] if self.order else divide(own.sentences, self.policy.order_pattern)
        wishes = self._of_parts(parts, own, judged) or self._of_actions(message, own, judged)
        return [*wishes, *self._asides(own, judged, wishes)][:PARTS_MAX]

    def whole(self, message: str, own: OwnMessage, judged: Mapping[str, Request]) -> Wish:
        """The message as one wish."""
        asked = [each.words for name, each in judged.items() if each.asked and each.words and name != Action.REPORT]
        found = find_order(message, self.thread, self.policy.order_pattern, first=(*asked, own.text))
        guess = self._narrowed(message, judged)
        asking = self._question_of(own) if not _asks(judged) else None
        return self._wish(guess, own, judged, order=self.order or found, question=asking)

    def _of_parts(self, parts: Sequence[Part], own: OwnMessage, judged: Mapping[str, Request]) -> list[Wish]:
        wishes = []
        for part in parts:
            of_part = self.own(part.text)
            if of_part.reading.manner in _UNDIVIDED:
                return []
            if of_part.reading.manner not in _WANTING:
                continue
            requests = {
                name: _within(request, Action(name), part, own, judged[name])
                for name, request in judge(of_part, self.policy.request).items()
            }
            guess = self._narrowed(part.text, requests)
            wishes.append(self._wish(guess, of_part, requests, order=part.order, words=part.written(part.said[0][0])))
        return wishes

    def _of_actions(self, message: str, own: OwnMessage, judged: Mapping[str, Request]) -> list[Wish]:
        """A wish for each requested action on the one order; money is requested with a cancellation."""
        asked = [action for action in NAMING if judged[action].asked]
        if Action.CANCEL in asked:
            # A canceled order is refunded with it, and cannot be sent elsewhere: these are one wish.
            asked = [Action.CANCEL]
        if len(asked) < 2:  # noqa: PLR2004 - one action, one wish
            return [self.whole(message, own, judged)]
        return [self.whole(message, own, {**judged, **_without({*asked} - {action})}) for action in asked]

    def _asides(self, own: OwnMessage, judged: Mapping[str, Request], wishes: Sequence[Wish]) -> list[Wish]:
        """Questions about the company's rules besides the other wishes."""
        if len(own.sentences) == 1 or wishes[0].question is not None:
            return []
        words = {request.words for request in judged.values() if request.asked}
        found = [
            (sentence, reading)
            for sentence, reading in zip(own.sentences, own.parts, strict=True)
            if sentence not in words and self._is_general(sentence, reading)
        ]
        return [
            self._wish(
                self._narrowed(sentence, {}), own, _without(set(Action)), order=None, question=sentence,
                is_question=reading.manner is Manner.QUESTION and _asks(judged), is_aside=True, words=sentence,
            )
            for sentence, reading in found[:QUESTIONS_MAX]
        ]  # fmt: skip

    def _question_of(self, own: OwnMessage) -> str | None:
        """The question of a message that names no order, without the story before it."""
        if own.reading.manner not in _GENERAL or orders_named(own.text, self.policy.order_pattern):
            return None
        asking = [sentence for sentence in own.sentences if sentence.endswith("?")]
        return " ".join(asking) if len(" ".join(asking).split()) >= _WORDS_MIN else None

    def _is_general(self, text: str, reading: Reading) -> bool:
        """Whether it asks something that names no order and no action that we could take."""
        return (
            text.rstrip(" \"')").endswith("?")
            and len(text.split()) >= _WORDS_MIN
            and reading.manner in _GENERAL
            and not orders_named(text, self.policy.order_pattern)
        )

    def _narrowed(self, text: str, requests: Mapping[str, Request]) -> Guess:
        # The request weighs as much as all the text around it.
        words = dict.fromkeys(each.words for each in requests.values() if each.words)
        guess = self.guess([text, *(each for each in words if each)])
        rows = self.policy.intents
        if not requests:
            return guess
        return narrow(
            guess,
            requests,
            {intent: row.operations for intent, row in rows.items()},
            informational=[intent for intent, row in rows.items() if not row.operations and row.rule != "person"],
        )

    def _wish(
        self, guess: Guess, own: OwnMessage, requests: Mapping[str, Request], *, order: str | None, **rest: Any
    ) -> Wish:
        return Wish(
            guess.intent,
            guess.confidence,
            "classifier",
            dict(guess.others[:_ALTERNATIVES]),
            order,
            find_address(own.text),
            requests,
            orders_named=len(orders_named(own.text, self.policy.order_pattern)),
            order_is_open=is_open(requests, own),
            looks_back=own.reading.manner in _LOOKING_BACK,
            **rest,
        )


def is_open(requests: Mapping[str, Request], own: OwnMessage) -> bool:
    """Whether there is a request that may not concern one of our orders."""
    return any(requests[action].asked for action in NAMING) and not own.names_a_parcel


def _within(request: Request, action: Action, part: Part, own: OwnMessage, judged: Request) -> Request:
    """A request of a part, where the message as a whole supports it; in the words of the message."""
    if not request.asked:
        return request
    reading = own.reading
    is_borne_out = (
        judged.against is not Against.INJECTION
        and reading.manner is Manner.REQUEST
        and reading.is_whole
        and reading.asks[action] >= _LIKELY
    )
    if not is_borne_out:
        return Request(False, part.written(request.words), request.confidence, judged.against or Against.UNSURE)
    return Request(True, part.written(request.words), request.confidence, None)


def _without(actions: set[Action]) -> dict[str, Request]:
    return {action.value: Request(False, None, 0.0, Against.NO_REQUEST) for action in actions}


def _asks(judged: Mapping[str, Request]) -> bool:
    return any(request.asked for request in judged.values())
