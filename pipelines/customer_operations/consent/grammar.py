"""Which clauses of a message ask for something in the form of a request, and what speaks against taking it as one.

Both sides are closed lists of English forms: imperatives, wishes of the first person, polite questions and short
forms on the one, negation, condition, hypothesis, future, past, third persons, withdrawal, mockery and commands to
the program on the other. A form that is on neither list is no request.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from pipelines.customer_operations.consent.forms import (
    ADDRESS_WITH_PLEASE,
    ADVERB_WORDS,
    ADVERBS,
    AFTER_ORDER,
    ASKING_WORDS,
    ASKS_FOR_ANSWER,
    BACK,
    CONTENT,
    CONTRAST,
    COURTESY,
    FOREIGN,
    FORM_CUE,
    GERUNDS,
    HANGING,
    KNOWING,
    MENTION,
    NAMED,
    NOT,
    NOT_AFTER,
    OBJECTS,
    OPENING_WORDS,
    POLITE,
    POLITE_WORDS,
    SHORT_NOUNS,
    SHORT_WORDS,
    STATED,
    VERBS,
    WISH,
    WITH_PLEASE,
    Action,
    Against,
)
from pipelines.customer_operations.consent.frames import plain_deed, wanted_now, without_tag
from pipelines.customer_operations.consent.objections import EVERYWHERE, IN_SENTENCE
from pipelines.customer_operations.consent.own_words import Sentence

_WISHES = re.compile(rf"(?:^|\b){WISH}\b")
# What stands before a wish and makes it less than one.
_LOOSENED = re.compile(r"\b(?:if|might|may|could|will|used|had)\b")
# Wishes that say what is wished without a noun: "I dispute…", "I claim…".
_NAMING_ITSELF = {
    Action.REPORT: re.compile(r"\b(?:claim|complain|dispute|file)\b"),
    Action.REFUND: re.compile(r"\bclaim"),
}
_NEVER = re.compile(r"(?!)")
_MONEY_VERBS = frozenset({"refund", "reimburse", "compensate", "repay"})
_BACK_VERBS = frozenset({"return", "reverse", "credit"})
_YES_NO = re.compile(r"\b(?:how|why|when|what|where|who|an? (?:order|parcel|shipment|label|booking))\b")


@dataclass(frozen=True, slots=True)
class Found:
    """The sentences that ask for an action, and what speaks against it, the weightiest first."""

    asked: tuple[str, ...]
    against: Against | None


# How what speaks against a request is ranked when there are several.
_RANK = tuple(Against)


def find_requests(text: str, said: Sequence[Sentence], action: Action) -> Found:
    """What `text`, an own text in the sentences `said`, has for and against a request for `action`."""
    polite = [_made_polite(sentence) for sentence in said]
    for number, (sentence, following) in enumerate(pairwise(polite)):
        clauses = tuple(wanted_now(clause, following.plain) for clause in sentence.clauses)
        polite[number] = replace(sentence, clauses=clauses)
    against = _everywhere(text, polite)
    asked: list[str] = []
    number_of_last = -2
    for number, sentence in enumerate(polite):
        if number_of_last == number - 1 and re.match(
            r"(?:that is |but |and |well )?(?:if|when|provided|unless)\b", sentence.plain
        ):
            against |= set() if COURTESY.search(sentence.plain) else {Against.CONDITION}
        forms = [_form(clause, sentence, action) for clause in sentence.clauses]
        if True in forms and any(HANGING.search(clause) for clause in sentence.clauses[: forms.index(True)]):
            against.add(Against.NEGATION)
        against |= {form for form in forms if isinstance(form, Against)}
        if True not in forms:
            continue
        number_of_last = number
        doubts = {code for code, pattern in IN_SENTENCE if pattern.search(sentence.plain)}
        against |= doubts
        if not doubts:
            asked.append(said[number].written)
    return Found(tuple(asked), next((code for code in reversed(_RANK) if code in against), None))


def is_content(said: Sequence[Sentence]) -> bool:
    """Whether somebody only tells how it was, and is content or wants nothing of it."""
    return any(CONTENT.search(_made_polite(sentence).plain) for sentence in said)


def is_statement(sentence: Sentence) -> bool:
    """Whether something is stated as it is now: no question, no condition, no plan and nothing that is over."""
    plain = _made_polite(sentence).plain
    return (
        not sentence.is_question
        and len(plain.split()) > 2  # noqa: PLR2004 - "Good morning" states nothing
        and not any(pattern.search(plain) for _, pattern in IN_SENTENCE)
    )


def is_open_question(sentence: Sentence) -> bool:
    """Whether a sentence asks for an answer, and not politely for a deed."""
    plain = _made_polite(sentence).plain
    return sentence.is_question and "please" not in plain.split() and ASKS_FOR_ANSWER.match(plain) is not None


def _everywhere(text: str, said: Sequence[Sentence]) -> set[Against]:
    plain = " . ".join(sentence.plain for sentence in said)
    against = {code for code, pattern in EVERYWHERE if pattern.search(plain)}
    return against | ({Against.INJECTION} if FORM_CUE.search(text) else set())


def _made_polite(sentence: Sentence) -> Sentence:
    imperative = without_tag(sentence.clauses) if sentence.is_question else None
    clauses = []
    for clause in imperative or sentence.clauses:
        plain = plain_deed(clause)
        for pattern, instead in POLITE:
            plain = " ".join(pattern.sub(f"{instead} ", plain).split())
        words = CONTRAST.sub(" ", plain).split()
        if "please" in words:
            words = [
                GERUNDS.get(word, word) if before == "please" else word
                for before, word in zip(["", *words], words, strict=False)
            ]
        clauses.append(" ".join(words))
    return Sentence(sentence.written, tuple(clauses), sentence.is_question and imperative is None)


def _form(clause: str, sentence: Sentence, action: Action) -> bool | Against:
    """True when the clause asks for `action`, what it says against it, or False."""
    if not (MENTION[action].search(clause) or _starts(clause, action)):
        return False
    asks = any(_asks(part, sentence, action) for part in _coordinated(clause))
    mention = MENTION[action].search(clause)
    if not asks and mention and (NOT.search(clause[: mention.start()]) or NOT_AFTER.search(clause[mention.end() :])):
        return Against.NEGATION
    return asks


def _coordinated(clause: str) -> list[str]:
    """The clause, and its parts after words that begin another one."""
    parts = re.split(r"\b(?:and|but|so|because|as|since|therefore|thus|hence|then)\b ?", clause)
    return [clause, *(part.strip() for part in parts[1:] if part.strip()), parts[0].strip()]


def _starts(clause: str, action: Action) -> bool:
    return re.search(rf"\b{VERBS[action]}\b", clause) is not None


def _asks(clause: str, sentence: Sentence, action: Action) -> bool:
    is_please = "please" in sentence.plain.split()
    for verb in re.finditer(rf"\b{VERBS[action]}\b", clause):
        before, after = clause[: verb.start()], clause[verb.end() :]
        if NOT.search(before) or not _fits(verb.group(), after, action):
            continue
        stem, adverbs = _cut_adverbs(before)
        is_told = _is_opening(before) and (is_please or not sentence.is_question)
        is_polite = not POLITE_WORDS.isdisjoint(adverbs)
        is_asked = stem[-1:] == ["you"] and not ASKING_WORDS.isdisjoint(stem[-2:-1])
        if is_told or is_polite or (is_asked and not _YES_NO.search(before + after)):
            return True
        if is_please and stem[-4:] == ["would", "it", "be", "possible"]:
            return True
    return (
        any(_wish_holds(clause, wish, sentence, action, is_please=is_please) for wish in _WISHES.finditer(clause))
        or _has_other_form(clause, sentence, action, is_please=is_please)
        or _is_short_form(clause, sentence, action, is_please=is_please)
    )


def _cut_adverbs(before: str) -> tuple[list[str], list[str]]:
    """The words before a verb, without and of the adverbs that stand right before it."""
    words = before.split()
    end = len(words)
    while end and words[end - 1] in ADVERB_WORDS:
        end -= 1
    return words[:end], words[end:]


def _is_opening(before: str) -> bool:
    """Whether nothing stands before a verb but greetings, names of the order and the like."""
    return OPENING_WORDS.issuperset(before.split())


def _wish_holds(clause: str, wish: re.Match[str], sentence: Sentence, action: Action, *, is_please: bool) -> bool:
    """Whether `wish`, "I want" and the like, is for `action`."""
    before, rest = clause[: wish.start()], " ".join(clause[wish.end() :].split()[:14])
    is_own = wish.group().split()[0] in {"i", "we"} or _is_opening(before)
    if not is_own or NOT.search(clause[: wish.end()]) or _LOOSENED.search(before):
        return False
    if sentence.is_question and not is_please:
        return False
    found = re.search(rf"\b{NAMED[action]}\b", rest) or re.search(rf"\byou {ADVERBS}{VERBS[action]}\b", rest)
    if found is None:
        return _NAMING_ITSELF.get(action, _NEVER).search(wish.group()) is not None
    between, near = rest[: found.start()], " ".join(rest.removeprefix("request ").split()[:9])
    if re.search(rf"\b{KNOWING}\b", between) or NOT.search(between) or FOREIGN.search(near):
        return False
    if action is Action.REFUND:
        is_back = BACK.search(rest) is not None or "one of them" in rest
        return is_back and re.match(r".{0,12}\b(?:status|process|policy|rules)\b", rest[found.end() :]) is None
    return action is Action.REPORT or re.search(rf"\b{OBJECTS[action]}\b", clause) is not None


def _has_other_form(clause: str, sentence: Sentence, action: Action, *, is_please: bool) -> bool:
    """Forms such as "can I have my money back please", "it must be cancelled", "you owe me"."""
    if NOT.search(clause):
        return False
    named = NAMED[action]
    polite = [form.format(named=named, adverbs=ADVERBS) for form in WITH_PLEASE]
    if action is Action.ADDRESS:
        polite.extend(ADDRESS_WITH_PLEASE[: 1 if sentence.is_question else None])
    if is_please and any(re.search(form, clause) for form in polite):
        return True
    stated = [form.format(named=named) for form in STATED[action]]
    return not sentence.is_question and any(re.search(form, clause) for form in stated)


def _is_short_form(clause: str, sentence: Sentence, action: Action, *, is_please: bool) -> bool:
    """Forms without a verb: "refund please", "cancellation requested", "new address for xorder"."""
    nouns = SHORT_NOUNS[action]
    is_short = len(clause.split()) <= 9 and SHORT_WORDS.issuperset(re.sub(rf"\b(?:{nouns})\b", "", clause).split())  # noqa: PLR2004
    if not is_short or NOT.search(clause) or (sentence.is_question and not is_please):
        return False
    return re.search(rf"\b(?:{nouns})\b", clause) is not None and bool(
        is_please
        or re.search(
            rf"\b(?:{nouns}) (?:for |of )?(?:\w+ ){{0,3}}"
            r"(?:request|requested|required|needed|due|now|asap|immediately)\b",
            clause,
        )
        or any(_is_opening(clause[: noun.start()]) for noun in re.finditer(rf"\b(?:{nouns})\b(?! \w+ed\b)", clause))
        or re.match(r"request(?:ing)? (?:for|of|to)\b", clause)
    )


def _fits(verb: str, after: str, action: Action) -> bool:
    """Whether what follows the verb is the customer's order or its money."""
    words = after.split()[:9]
    rest = " ".join(words)
    if action is Action.CANCEL and verb in {"proceed", "process", "arrange", "initiate"}:
        named = re.match(r"(?:with )?(?:the |a |my |our |this )?(?:cancellation|annulment)\b(?: (?:of|for)\b)?", rest)
        of_what = "" if named is None else rest[named.end() :]
        is_of = named is not None and named.group().endswith((" of", " for"))
        return named is not None and (
            not is_of or re.match(rf" (?:the |my |our |this )?{OBJECTS[action]}\b", of_what) is not None
        )
    if action is Action.ADDRESS and verb in {"have", "get"}:
        return re.search(r"\b(?:delivered|sent|redirected|brought|rerouted|changed)\b", rest) is not None
    thing = re.search(rf"\b{OBJECTS[action]}\b", rest)
    if thing is None:
        return verb == "cancel" and (not words or words[0] in {"please", "now", "thx", "thanks"})
    if FOREIGN.search(rest[: thing.start()]) or FOREIGN.match(rest[thing.end() :].strip()):
        return False
    if action is Action.REFUND and verb not in _MONEY_VERBS:
        return BACK.search(f"{verb if verb in _BACK_VERBS else ''} {rest}") is not None
    return action is not Action.CANCEL or _fits_cancellation(verb, rest, thing.start())


def _fits_cancellation(verb: str, rest: str, start: int) -> bool:
    """Whether the order is what ends, and not a refund or a mail about it. `start` is where the order stands."""
    if re.search(r"\b(?:refund|cancellation|request|mail|message|claim|updates?)\b", rest[:start]):
        return False
    thing = re.search(rf"\b{OBJECTS[Action.CANCEL]}\b", rest[start:])
    following = [] if thing is None else rest[start + thing.end() :].replace(" xorder", "").split()
    if following and AFTER_ORDER.fullmatch(following[0]) is None:
        return False
    if verb == "take":
        return re.match(r"(?:it|xorder|this|the (?:order|label|booking)) out of (?:the|your) system", rest) is not None
    # "Stop the order", and not "stop sending me forms about it".
    return verb not in {"stop", "drop", "delete", "undo"} or start <= 4  # noqa: PLR2004
