"""Whether a message asks for an action: the form of its sentences and what it is like must both say so.

The forms of `grammar` say which sentences ask and what speaks against it. Beside it a classifier over the embedding and
the words of the message says how much it is like the requests among the examples. Both have learned or were written
apart from each other, so their odds are multiplied; how much the form is worth is counted on the same examples.
"""

import math
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from core.kit.expressions import Expression
from pipelines.customer_operations.consent.forms import Action, Against
from pipelines.customer_operations.consent.grammar import find_requests, is_content, is_open_question, is_statement
from pipelines.customer_operations.consent.own_words import APOSTROPHES, Sentence, own_text, sentences
from pipelines.customer_operations.intents.classifier import Guess, IntentClassifier

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_REQUEST = "request"
# However well the forms do on the examples: they are worth no more than nineteen right ones for a wrong one.
_FORM_ODDS_MAX = 19.0
# What a refund, a cancellation or a new address can be asked for without a number of the order.
_PARCEL = re.compile(
    r"\b(?:parcels?|packages?|shipments?|deliver(?:y|ed|ies)|orders?|labels?|express|courier|carriage|consignment|booking)\b",
    re.IGNORECASE,
)
_NAMING = (Action.CANCEL, Action.REFUND, Action.ADDRESS)
_REFUND_MASS_MIN = 0.2
# What a ticket can be about besides a parcel.
_NO_NUMBER = Expression(r"[^\x00-\x{10FFFF}]")
_SERVICE = re.compile(
    r"\b(?:invoices?|bill(?:ed|ing)?|weight|surcharges?|drivers?|van|depot|returns?|pick-?up|staff|service|"
    r"money back|refund(?:ed)?|lost)\b",
    re.IGNORECASE,
)
# What an action of a plan is asked for as. A refund that is part of a cancellation is asked for with it.
_OPERATIONS = {
    "cancel_order": Action.CANCEL,
    "issue_refund": Action.REFUND,
    "change_address": Action.ADDRESS,
    "open_ticket": Action.REPORT,
}


@dataclass(frozen=True, slots=True)
class Request:
    """Whether an action is asked for. `words` are the customer's own, letter by letter; `against` says why not."""

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


@lru_cache(maxsize=1)
def load_examples() -> dict[str, list[str]]:
    """The messages of ``examples.toml``: those that are a ``request``, and those that are ``none``."""
    read = tomllib.loads(files(__package__).joinpath("examples.toml").read_text(encoding="utf-8"))
    return {str(kind): [str(message) for message in messages] for kind, messages in read.items()}


@lru_cache(maxsize=1)
def form_odds() -> float:
    """How many times likelier a form of `grammar` is found in a request than in another message, by the examples."""
    examples = load_examples()
    found = {kind: sum(_has_form(message) for message in messages) for kind, messages in examples.items()}
    share = {kind: (found[kind] + 1) / (len(messages) + 2) for kind, messages in examples.items()}
    return min(_FORM_ODDS_MAX, share[_REQUEST] / share["none"])


class OwnMessage:
    """What the customer says themselves in a message."""

    def __init__(self, message: str, order_pattern: Expression) -> None:
        self.text = own_text(message)
        self.sentences: Sequence[Sentence] = sentences(self.text, order_pattern)
        self._pattern = order_pattern

    @property
    def unnumbered(self) -> str:
        """The text without numbers of orders, as the classifier reads it."""
        return " ".join(self._pattern.replaced(self.text, "my order").split()) or "-"

    @property
    def names_a_parcel(self) -> bool:
        """Whether it speaks of a parcel, an order or the like, by number or by word."""
        return _PARCEL.search(self.text) is not None or self._pattern.is_in(self.text)


def judge(
    own: OwnMessage,
    classifier: IntentClassifier,
    vector: "NDArray[np.float32]",
    *,
    confidence_min: float,
    margin_min: float,
) -> dict[str, Request]:
    """Of every action whether `own` asks for it; `vector` is the embedding of its ``unnumbered``, shape (1, width)."""
    shares = classifier.probabilities([own.unnumbered], vector)[0]
    likeness = min(max(float(shares[classifier.intents.index(_REQUEST)]), 1e-6), 1 - 1e-6)
    judged = {}
    for action in Action:
        found = find_requests(own.text, own.sentences, action)
        if action is Action.REPORT:
            judged[action.value] = _report(own, found.against)
            continue
        odds = form_odds() if found.asked and found.against is None else 1 / form_odds()
        confidence = 1 / (1 + math.exp(-(math.log(odds) + math.log(likeness / (1 - likeness)))))
        against = found.against
        if against is None and not found.asked:
            against = Against.QUESTION if own.sentences and own.sentences[-1].is_question else Against.NO_REQUEST
        elif against is None and (
            confidence < confidence_min or 2 * confidence - 1 < margin_min or not own.names_a_parcel
        ):
            against = Against.UNSURE
        words = found.asked[0] if found.asked else None
        judged[action.value] = Request(against is None, words, confidence, against)
    return judged


def judge_reading(
    own: OwnMessage, message: str, *, action: str, words: str | None, judged: Mapping[str, Request]
) -> dict[str, Request]:
    """What a model read out of the message, where it is borne out by `words`.

    They must stand in the message letter by letter, and be the customer's own. What `judged` has against it stays.
    """
    stands = bool(words and words.strip()) and str(words) in message and _folded(str(words)) in _folded(own.text)
    read = {}
    for name, before in judged.items():
        # Who asks for the more has the less looked after with it.
        is_asked = action == name or (name == Action.REPORT and action in judged)
        if not is_asked or not stands:
            read[name] = Request(False, None, 0.0, before.against or Against.NO_REQUEST)
            continue
        # What was missing to the forms is what the model was asked for; what speaks against a request stays.
        missing = before.against in {Against.NO_REQUEST, Against.UNSURE, Against.QUESTION}
        against: Against | None = None if missing else before.against
        if any(is_open_question(each) and _folded(str(words)) in _folded(each.written + "?") for each in own.sentences):
            against = against or Against.QUESTION
        read[name] = Request(against is None, words, 1.0 if against is None else 0.0, against)
    return read


def narrow(
    guess: Guess, requests: Mapping[str, Request], operations: Mapping[str, Sequence[str]], *, telling: Sequence[str]
) -> Guess:
    """The guess among the intents that can do what is asked for; `operations` are those that each intent may call.

    A cancellation and a change of address are named by who asks for them. A refund is asked for in several intents, and
    also by people who want something else first: it decides only where those intents are likely, or where the guess
    is one of `telling`, the intents under which nothing is done.
    """
    asked = next((action for action in _NAMING if requests[action].asked), None)
    if asked is None:
        return guess
    shares = dict([(guess.intent, guess.confidence), *guess.others])
    able = {
        intent: shares.get(intent, 0.0)
        for intent, allowed in operations.items()
        if asked in needed(allowed) and Action.REPORT not in needed(allowed)[:1]
    }
    mass = sum(able.values())
    if not mass or (asked is Action.REFUND and mass < _REFUND_MASS_MIN and guess.intent not in telling):
        return guess
    ranked = sorted(((share / mass, intent) for intent, share in able.items()), reverse=True)
    return Guess(ranked[0][1], ranked[0][0], tuple((intent, share) for share, intent in ranked[1:]))


def needed(operations: Sequence[str]) -> tuple[Action, ...]:
    """The actions that have to be asked for, for a plan of these operations. Unknown ones count as money."""
    actions = {_OPERATIONS.get(operation, Action.REFUND) for operation in operations}
    if Action.CANCEL in actions:
        return (Action.CANCEL,)
    return tuple(action for action in Action if action in actions)


def _report(own: OwnMessage, against: Against | None) -> Request:
    """A ticket needs no wish: that something is wrong with one's own parcel is said to have it looked after."""
    said = [sentence for sentence in own.sentences if is_statement(sentence)]
    if against is None and not said:
        against = Against.QUESTION if own.sentences else Against.NO_REQUEST
    if against is None and is_content(own.sentences):
        against = Against.NO_REQUEST
    if against is None and not own.names_a_parcel and _SERVICE.search(own.text) is None:
        against = Against.UNSURE
    words = max((sentence.written for sentence in said), key=len, default=None)
    return Request(against is None, words, float(against is None), against)


def _has_form(message: str) -> bool:
    text = own_text(message)
    said = sentences(text, _NO_NUMBER)
    found = [find_requests(text, said, action) for action in Action if action is not Action.REPORT]
    return any(each.asked and each.against is None for each in found)


def _folded(text: str) -> str:
    return " ".join(text.translate(APOSTROPHES).split())
