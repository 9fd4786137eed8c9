"""What of a message the customer says themselves, as plain sentences: quoted and forwarded text left out."""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches

from core.kit.expressions import Expression

_SENTENCE_MAX_CHARACTERS = 600
_SENTENCES_MAX = 200
_WRAPPED_FROM = 50
_FORWARDED = ("original message", "forwarded message", "weitergeleitete nachricht", "oorspronkelijk bericht")
_HEADER = re.compile(r"^(?:subject|from|to|cc|date|sent|re|fwd?|betreff|onderwerp) ?:", re.IGNORECASE)
_WROTE = re.compile(r"\b(?:wrote|schreef|schrieb)\b[^:]{0,40}:$")
# Each stops at the next mark, so that a mark without its other half costs nothing.
_QUOTED = re.compile(
    r"\"[^\"]*\"|\u201c[^\u201c\u201d]*\u201d|\u00ab[^\u00ab\u00bb]*\u00bb|\u201e[^\u201c\u201d\u201e]*[\u201c\u201d]|"
    r"(?<!\w)['\u2018][^'\u2018\u2019\n]{8,400}['\u2019](?!\w)"
)
APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'"})
_PART = re.compile(r"[,:()\[\]\u2192]|\s[-\u2013\u2014>]{1,3}\s")
_END = re.compile(r"(?<![.!?;…])[.!?;…]++(?=\s|$)|\n")
_WORD = re.compile(r"[^\W_]+(?:['.,/-][^\W_]+)*")
_ORDER = "xorder"

_SHORT = {
    "pls": "please", "plz": "please", "plse": "please", "pleas": "please", "pleaes": "please", "plese": "please",
    "u": "you", "ur": "your", "r": "are", "dont": "don't", "didnt": "didn't", "doesnt": "doesn't", "cant": "can't",
    "wont": "won't", "isnt": "isn't", "wasnt": "wasn't", "wouldnt": "wouldn't", "shouldnt": "shouldn't",
    "havent": "haven't", "hasnt": "hasn't", "im": "i'm", "id": "i'd", "ive": "i've", "wanna": "want to",
    "gimme": "give me", "cud": "could", "wud": "would", "shud": "should", "dnt": "don't", "cannot": "can't",
    "canceled": "cancelled", "canceling": "cancelling", "nvm": "never mind", "nevermind": "never mind",
    "adress": "address", "e-mail": "email", "favour": "favor", "neighbour": "neighbor", "can't": "can not",
    "don't": "do not", "doesn't": "does not", "didn't": "did not", "won't": "will not", "isn't": "is not",
    "wasn't": "was not", "aren't": "are not", "wouldn't": "would not", "shouldn't": "should not",
    "haven't": "have not", "hasn't": "has not", "hadn't": "had not", "couldn't": "could not", "needn't": "need not",
    "mustn't": "must not", "weren't": "were not", "i'd": "i would", "we'd": "we would", "i'm": "i am",
    "we're": "we are", "i'll": "i will", "we'll": "we will", "you'd": "you would", "let's": "let us",
    "it's": "it is", "that's": "that is", "thx": "thanks", "ty": "thanks", "tx": "thanks",
}  # fmt: skip
_TYPED = (
    "cancel", "cancelled", "cancellation", "refund", "refunded", "reimburse", "redirect", "deliver", "address",
    "please", "compensation", "delivery",
)  # fmt: skip
_KNOWN = frozenset({"refunds", "cancels", "delivers", "delivered", "canceller", "recancel", "refunding", "deliverer"})


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as it was written, and its words in lower case with short forms written out.

    `clauses` are the words between commas and the like. A number of an order is the word ``xorder``.
    """

    written: str
    clauses: tuple[str, ...]
    is_question: bool

    @property
    def plain(self) -> str:
        """All words, one space between two."""
        return " ".join(self.clauses)


def own_text(message: str) -> str:
    """The message without quoted lines, forwarded mail, mail headers and text in quotation marks.

    A signature stays: what is taken back below it is taken back.
    """
    kept: list[str] = []
    lines = unicodedata.normalize("NFKC", message).replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        bare = line.strip()
        if any(mark in bare.lower() for mark in _FORWARDED):
            break
        if bare.startswith((">", "|")) or _HEADER.match(bare[:12]):
            continue
        if _WROTE.search(bare[-80:]):
            if following.lstrip().startswith(">"):
                continue
            break
        kept.append(line)
    return _QUOTED.sub(" quotation ", "\n".join(kept)).translate(APOSTROPHES)


def sentences(text: str, order_pattern: Expression) -> list[Sentence]:
    """The sentences of an own text, the first 200 of them."""
    found: list[Sentence] = []
    for written, mark in _split(_joined(text)):
        if len(found) == _SENTENCES_MAX:
            break
        numbered = order_pattern.replaced(written[:_SENTENCE_MAX_CHARACTERS], f" {_ORDER} ")
        parts = _PART.split(numbered)
        clauses = tuple(clause for clause in (_plain(part) for part in parts) if clause)
        if clauses:
            found.append(Sentence(written.strip(), clauses, "?" in mark))
    return found


def _joined(text: str) -> str:
    """Lines that a mail program broke, put together again."""
    lines = text.split("\n")
    pieces: list[str] = []
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        is_wrapped = len(line) >= _WRAPPED_FROM and bool(following.strip()) and line.rstrip()[-1:] not in ".!?:;"
        pieces.append(line + (" " if is_wrapped else "\n"))
    return "".join(pieces)


def _split(text: str) -> Iterator[tuple[str, str]]:
    begin = 0
    for end in _END.finditer(text):
        if text[begin : end.start()].strip():
            yield text[begin : end.start()], end.group()
        begin = end.end()
    if text[begin:].strip():
        yield text[begin:], ""


def _plain(text: str) -> str:
    words: list[str] = []
    for word in _WORD.findall(text.lower()):
        written = _SHORT.get(word, word)
        words.extend(_SHORT.get(part, part) for part in written.split())
    return " ".join(part for word in words for part in _mended(word).split())


def _mended(word: str) -> str:
    """A word with a typing error, where it can only be one of those that matter."""
    if len(word) < 5 or word in _TYPED or word in _KNOWN or not word.isalpha():  # noqa: PLR2004
        return word
    alike = [known for known in _TYPED if known[0] == word[0] and abs(len(known) - len(word)) <= 2]  # noqa: PLR2004
    near = get_close_matches(word, alike, 1, 0.86)
    return near[0] if near and not word.startswith(near[0]) else word
