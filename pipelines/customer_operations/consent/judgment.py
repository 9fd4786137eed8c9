"""Whether a message requests an action: both heads of the reader must confirm it for the message as a whole."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any

from core.kit.expressions import Expression
from pipelines.customer_operations.consent.own_words import APOSTROPHES, own_text, sentences, unnumbered
from pipelines.customer_operations.consent.reader import Action, Manner, Reading, RequestReader
from pipelines.customer_operations.intents.classifier import Guess
from pipelines.customer_operations.policies.tables import RequestBars

# In addition to the message as a whole, to find the words of the request.
_SENTENCES_READ_MAX = 31
# Text in the forms of programs: tags, calls, assignments and the roles of a conversation with a model.
_PROGRAM_TEXT = re.compile(
    r"(?:[a-z]_[a-z]|[<{\[]/?[a-z_ ]+[>}\]]|#{2,}|\w\((?:\w{1,40}\s?[=,]|['\"])|=\s*(?:true|\d|['\"])|\bsystem\s*:|"
    r"\bassistant\s*:|\bdeveloper\b.{0,12}:)",
    re.IGNORECASE,
)
# Money, a cancellation or a new address can be requested of any company: a customer who means an order of ours names it
# in some way.
_PARCEL = re.compile(
    r"\d{3}|\b(?:parcels?|packages?|shipments?|deliver(?:y|ed|ies)|orders?|labels?|express|courier|carriage|consignment|"
    r"booking|box(?:es)?)\b",
    re.IGNORECASE,
)
# The start of a few words after a request that take it back. It can only void a request, and never makes one.
_TAKEN_BACK = re.compile(
    r"(?:(?:lol|ha(?:ha)*|oh|ah|hm+|argh|omg|sorry|oops|whoops|actually|edit|update|ps)\b\W*){0,4}"
    r"(?:(?:no+|nope|nah)\b(?!\W*(?:need|rush|hurry|problem|worries|one|body|reply|idea|more|longer|voucher|replacement))"
    r"|don'?t\b(?! (?:worry|reply|call|ring|want|need|tell|send|ship|you|deliver))|wait\b|forget (?:it|that|this)\b"
    r"|never ?mind\b|nvm\b|scra(?:p|tch) (?:that|it)\b|wrong \w+|(?:just|only) (?:kidding|joking)\b|kidding\b|as if\b)",
    re.IGNORECASE,
)
_TAKING_BACK_WORDS_MAX = 7
# The customer disowns what the message speaks of. It can only void a request, too.
_DISOWNED = re.compile(r"\b(?:it|that|this)(?: is not|'s not| isn'?t) (?:by |from )?(?:me|us)\b", re.IGNORECASE)
# Mockery in which the money flows the other way. It can only void a request as well.
_PAYS_US = re.compile(
    r"\bI(?:'d| should| ought to| must| could| can| would)(?: \w{1,12}){0,2} (?:be )?pay(?:ing)? (?:yo)?u\b",
    re.IGNORECASE,
)
# What makes a question a request. Without it the question repeats what somebody else has said ("Cancel it? Over my dead
# body."), or only wonders.
_ASKS_POLITELY = re.compile(
    r"\b(?:(?:can|could|cud|cld|cn|will|would|wud|wld|wo|do|does|did|have|has|is|are|was)(?:n'?t)?|may|might|shall|should|"
    r"pls|plz|please|kindly|mind|possible|chance|able|thanks|thx|ty|want|need|like)\b",
    re.IGNORECASE,
)
# A courtesy that by itself reads like a supposition: "We would ask you to credit the amount."
_ASKS_FORMALLY = re.compile(
    r"\b(?:would|should|'d) (?:kindly |like to |therefore |also )?ask (?:you (?:to|for)|that|for)\b(?!\W+not\b)",
    re.IGNORECASE,
)
_TURNING = (Manner.WITHDRAWAL, Manner.CONDITION, Manner.HYPOTHETICAL, Manner.SARCASM)
NAMING = (Action.CANCEL, Action.REFUND, Action.ADDRESS)
_REFUND_MASS_MIN = 0.12
_LIKELY = 0.5
# The action that has to be requested for an operation of a plan. A refund that is part of a cancellation is requested
# with it.
OPERATIONS = {
    "cancel_order": Action.CANCEL,
    "issue_refund": Action.REFUND,
    "change_address": Action.ADDRESS,
    "open_ticket": Action.REPORT,
}


class Against(StrEnum):
    """Why a message is not taken as a request."""

    NO_REQUEST = "no_request"
    NEGATION = "negation"
    QUESTION = "question"
    CONDITION = "condition"
    HYPOTHETICAL = "hypothetical"
    FUTURE = "future"
    PAST = "past"
    THIRD_PARTY = "third_party"
    WITHDRAWAL = "withdrawal"
    SARCASM = "sarcasm"
    INJECTION = "injection"
    UNSURE = "unsure"


# With these the customer may still want it, so the action is offered. With the others a person reads the message.
OPEN = frozenset(
    {
        Against.NO_REQUEST, Against.QUESTION, Against.CONDITION, Against.HYPOTHETICAL, Against.FUTURE, Against.UNSURE,
    }
)  # fmt: skip
# Cases that only the reader missed: a model that reads more may find a request there.
_MISSED = frozenset({Against.NO_REQUEST, Against.QUESTION, Against.UNSURE})
_AGAINST = {manner: Against(manner.value) for manner in Manner if manner.value in set(Against)} | {
    Manner.REQUEST: Against.UNSURE,
    Manner.UNCERTAIN: Against.UNSURE,
}


@dataclass(frozen=True, slots=True)
class Request:
    """Whether an action is requested. `words` are the customer's own, verbatim; `against` is the reason if not."""

    asked: bool
    words: str | None
    confidence: float
    against: Against | None

    def plain(self) -> dict[str, Any]:
        """As a dictionary for a graph's state."""
        return {
            "asked": self.asked,
            "words": self.words,
            "confidence": self.confidence,
            "against": None if self.against is None else self.against.value,
        }


class OwnMessage:
    """The customer's own words in a message, and the reader's result for it and for each of its sentences."""

    def __init__(self, message: str, order_pattern: Expression, reader: RequestReader) -> None:
        self.text = own_text(message)
        self.sentences = sentences(self.text)[:_SENTENCES_READ_MAX]
        self._pattern, self._reader = order_pattern, reader
        (self.reading,) = self._read([self.text])

    @cached_property
    def parts(self) -> list[Reading]:
        """The reader's result for each sentence. Most messages are decided without it."""
        return [self.reading] if len(self.sentences) == 1 else self._read(self.sentences)

    @property
    def names_a_parcel(self) -> bool:
        """Whether it mentions a parcel, an order or the like, by a number or a word: otherwise none may be assumed."""
        return _PARCEL.search(self.text) is not None or self._pattern.is_in(self.text)

    @property
    def objection(self) -> Against | None:
        """The objection to a request of any kind, where it is likelier than all else together."""
        shares = {
            against: self.reading.manners[manner] for manner, against in _AGAINST.items() if against not in _MISSED
        }
        return max(shares, key=lambda against: shares[against]) if sum(shares.values()) >= _LIKELY else None

    def words(self, action: Action) -> str | None:
        """The sentence that requests `action` most clearly."""
        if not self.sentences:
            return None
        return max(zip(self.parts, self.sentences, strict=True), key=lambda pair: pair[0].asks[action])[1]

    def turned(self, action: Action) -> Against | None:
        """How the message turns against the request for `action`: disowns it, mocks it, or later takes it back."""
        if _DISOWNED.search(self.text):
            return Against.THIRD_PARTY
        if _PAYS_US.search(self.text):
            return Against.SARCASM
        if len(self.sentences) == 1:
            return None
        asking = max(range(len(self.parts)), key=lambda number: self.parts[number].asks[action])
        for sentence, part in list(zip(self.sentences, self.parts, strict=False))[asking + 1 :]:
            is_courtesy = part.manner is Manner.HYPOTHETICAL and _ASKS_FORMALLY.search(sentence) is not None
            if part.manner in _TURNING and part.manners[part.manner] >= _LIKELY and not is_courtesy:
                return _AGAINST[part.manner]
            if len(sentence.split()) <= _TAKING_BACK_WORDS_MAX and _TAKEN_BACK.match(sentence):
                return Against.WITHDRAWAL
        return None

    def only_echoes(self, action: Action) -> bool:
        """Whether the sentence that requests `action` most clearly is a question without any courtesy."""
        words = self.words(action) or ""
        return words.rstrip(" \"')").endswith("?") and _ASKS_POLITELY.search(words) is None

    def is_question(self, words: str) -> bool:
        """Whether `words` belong to a sentence that by itself is a question, and no request in the form of one."""
        return any(
            part.manner is Manner.QUESTION and _folded(words) in _folded(sentence)
            for part, sentence in zip(self.parts, self.sentences, strict=True)
        )

    def _read(self, texts: Sequence[str]) -> list[Reading]:
        return self._reader.read([unnumbered(text, self._pattern) for text in texts])


def judge(own: OwnMessage, bars: RequestBars) -> dict[str, Request]:
    """For every action, whether `own` requests it. A request for the greater action covers the lesser one."""
    judged = {}
    for action in Action:
        against = _against(own, action, bars)
        asked = against is None
        words = own.words(action) if asked or own.reading.asks[action] >= bars.report_min else None
        judged[action.value] = Request(asked, words, own.reading.asks[action], against)
    if not judged[Action.REPORT].asked:
        judged[Action.REPORT] = next(
            (judged[action] for action in NAMING if judged[action].asked), judged[Action.REPORT]
        )
    return judged


def judge_reading(
    own: OwnMessage, message: str, *, action: str, words: str | None, judged: Mapping[str, Request]
) -> dict[str, Request]:
    """A model's reading of the message, where `words` support it.

    They must occur in the message letter by letter, and be the customer's own. An objection of the reader stays, and so
    does text in the form of a program.
    """
    stands = bool(words and words.strip()) and str(words) in message and _folded(str(words)) in _folded(own.text)
    read = {}
    for name, before in judged.items():
        is_asked = action == name or (name == Action.REPORT and action in judged)
        if not is_asked or not stands:
            read[name] = Request(False, None, 0.0, before.against or Against.NO_REQUEST)
            continue
        against = before.against if before.against is Against.INJECTION else own.objection
        if against is None and own.is_question(str(words)):
            against = Against.QUESTION
        read[name] = Request(against is None, words, 1.0 if against is None else 0.0, against)
    return read


def narrow(
    guess: Guess,
    requests: Mapping[str, Request],
    operations: Mapping[str, Sequence[str]],
    *,
    informational: Sequence[str],
) -> Guess:
    """The guess among the intents that can do the requested action; `operations` are those that each intent may call.

    A request for a cancellation or a change of address determines the intent. A refund is requested under several
    intents, and also by people who want something else first: it decides only where those intents are likely, or where
    the guess is one of `informational`, the intents under which nothing is done.
    """
    asked = next((action for action in NAMING if requests[action].asked), None)
    if asked is None:
        return guess
    shares = dict([(guess.intent, guess.confidence), *guess.others])
    able = {
        intent: shares.get(intent, 0.0)
        for intent, allowed in operations.items()
        if asked in needed(allowed) and Action.REPORT not in needed(allowed)[:1]
    }
    mass = sum(able.values())
    if not mass or (asked is Action.REFUND and mass < _REFUND_MASS_MIN and guess.intent not in informational):
        return guess
    ranked = sorted(((share / mass, intent) for intent, share in able.items()), reverse=True)
    return Guess(ranked[0][1], ranked[0][0], tuple((intent, share) for share, intent in ranked[1:]))


def needed(operations: Sequence[str]) -> tuple[Action, ...]:
    """The actions that must be requested for a plan of these operations. Unknown ones count as money."""
    actions = {OPERATIONS.get(operation, Action.REFUND) for operation in operations}
    if Action.CANCEL in actions:
        return (Action.CANCEL,)
    return tuple(action for action in Action if action in actions)


def _against(own: OwnMessage, action: Action, bars: RequestBars) -> Against | None:
    reading = own.reading
    if _PROGRAM_TEXT.search(own.text):
        return Against.INJECTION
    if reading.manner is not Manner.REQUEST:
        return _AGAINST.get(reading.manner, Against.NO_REQUEST)
    if action is Action.REPORT:
        return own.turned(action) if reading.asks[action] >= bars.report_min else Against.NO_REQUEST
    if reading.asks[action] < 1 - bars.act_min:
        return Against.NO_REQUEST
    others = max(share for manner, share in reading.manners.items() if manner is not Manner.REQUEST)
    is_sure = reading.asks[action] >= bars.act_min and reading.manners[Manner.REQUEST] - others >= bars.margin_min
    # Text after the last word that was read could take it back.
    if not is_sure or not reading.is_whole:
        return Against.UNSURE
    return Against.QUESTION if own.only_echoes(action) else own.turned(action)


def _folded(text: str) -> str:
    return " ".join(text.translate(APOSTROPHES).split())
