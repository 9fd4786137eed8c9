"""The customer's own words in a message, without quoted and forwarded text, and their sentences."""

import re
import unicodedata
from pathlib import Path

from core.kit.expressions import Expression

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
# Words as they are typed on a phone, which the reader has seen too rarely to know what they do to a sentence.
_TEXT_SPEAK = {
    line.split()[0]: " ".join(line.split()[1:])
    for line in Path(__file__).with_name("text_speak.txt").read_text(encoding="utf-8").splitlines()
}
_SHORT = re.compile(r"(?<![\w.,#/'-])[a-z0-9]{1,8}(?![\w/'-]|[.,]\w)", re.IGNORECASE)
_FOR = re.compile(r"\b4(?= (?:an?|the|this|that|it|me|my|us|our|yo?u|yo?ur|being|late|l8)\b)", re.IGNORECASE)
_TO = re.compile(
    r"\b2(?= (?:me|my|the|us|our|yo?u|yo?ur|be|do|get|have|send|ask|cancel|cancl|change|work|late|l8)\b)", re.IGNORECASE
)
# A negation that asks for what it names: "don't forget to cancel". Not so behind whom it tells of.
_NOT_TO_OMIT = re.compile(
    r"(?<!\bi )(?<!\bwe )(?<!\bthey )(?<!\byou )(?<!\bi'll )"
    r"\b(?:do not|don'?t) (?:ever )?(?:forget|fail|neglect|omit|hesitate) to (?!let\b|ask\b|call\b|contact\b)",
    re.IGNORECASE,
)
_END = re.compile(r"(?<![.!?;…])[.!?;…]++(?=\s|$)|\n")


def own_text(message: str) -> str:
    """The message without quoted lines, forwarded mail, mail headers and text in quotation marks.

    A signature stays, since a request may be taken back below it.
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


def sentences(text: str) -> list[str]:
    """The sentences of an own text as they are written. Lines that a mail program broke are not ends."""
    found: list[str] = []
    begin = 0
    for end in _END.finditer(text):
        if end.group() == "\n" and _is_wrapped(text, end.start()):
            continue
        found.append(text[begin : end.end()].strip())
        begin = end.end()
    found.append(text[begin:].strip())
    return [sentence for sentence in found if any(letter.isalnum() for letter in sentence)]


def unnumbered(text: str, order_pattern: Expression) -> str:
    """The text on one line and in plain words, "my order" for each order number, as in the reader's training data.

    Never empty.
    """
    return _in_plain_words(" ".join(order_pattern.replaced(text, "my order").split())) or "-"


def _in_plain_words(text: str) -> str:
    text = _TO.sub("to", _FOR.sub("for", text))
    text = _SHORT.sub(lambda short: _TEXT_SPEAK.get(short.group().lower(), short.group()), text)
    return _NOT_TO_OMIT.sub("be sure to ", text)


def _is_wrapped(text: str, at: int) -> bool:
    """Whether the line that ends at `at` continues in the next."""
    return at - text.rfind("\n", 0, at) > _WRAPPED_FROM and text[at + 1 : at + 2].strip() not in {"", "-", "*"}
