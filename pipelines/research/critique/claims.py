"""Parses a draft into claims: its sentences, and the sources that each of them cites."""

import re
from dataclasses import dataclass

from core.gateway.extraction.sentences import split_sentences

# They match lines whose blanks are single spaces.
_MARKERS = r"\[ ?\d+(?: ?[,;] ?\d+)* ?\]"
_MARKER = re.compile(_MARKERS)
_AFTER_STOP = re.compile(rf"(?<![.!?])(?P<stop>[.!?]+[\"'\u201d\u2019\u00bb)]*) ?(?P<markers>(?:{_MARKERS} ?)+)")
_BULLET = re.compile(r"^\s*(?:[-*\u2022]|\d{1,2}[.)])\s+")
_HEADING = re.compile(r"^\s*(?:#{1,6}\s|\*\*[^*]+\*\*:?\s*$)")
# Replaces a marker while sentences are split: a letter, so that no rule sees a boundary before it.
_HOLD = "\ue000"


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence without its markers, and the numbers it cites, in order and once each."""

    text: str
    cited: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A paragraph of claims, or an item of a list."""

    claims: tuple[Claim, ...]
    is_item: bool


def read_draft(text: str) -> list[Block]:
    """The blocks of a section; headings and blocks without any claim are dropped."""
    blocks: list[Block] = []
    paragraph: list[str] = []

    def flush() -> None:
        if paragraph:
            blocks.append(Block(_claims(" ".join(paragraph)), is_item=False))
            paragraph.clear()

    for line in text.splitlines():
        if not line.strip() or _HEADING.match(line):
            flush()
        elif _BULLET.match(line):
            flush()
            blocks.append(Block(_claims(_BULLET.sub("", line, count=1)), is_item=True))
        else:
            paragraph.append(line.strip())
    flush()
    return [block for block in blocks if block.claims]


def write_block(block: Block, numbers: dict[int, int] | None = None) -> str:
    """The block as a line of text, each claim with its markers; `numbers` gives sources other numbers."""
    line = " ".join(f"{claim.text} {write_markers(claim.cited, numbers)}".strip() for claim in block.claims)
    return f"- {line}" if block.is_item else line


def write_markers(cited: tuple[int, ...], numbers: dict[int, int] | None = None) -> str:
    """Markers like ``[1][3]``."""
    shown = cited if numbers is None else sorted({numbers[number] for number in cited})
    return "".join(f"[{number}]" for number in shown)


def _claims(line: str) -> tuple[Claim, ...]:
    """Sentences of one line. A marker after the full stop belongs to the sentence before it."""
    moved = _AFTER_STOP.sub(lambda match: f" {match['markers'].strip()}{match['stop']} ", " ".join(line.split()))
    held: list[str] = []

    def hold(match: re.Match[str]) -> str:
        held.append(match.group())
        return f"{_HOLD}{len(held) - 1}{_HOLD}"

    plain = _MARKER.sub(hold, moved)
    claims = []
    for sentence in split_sentences(plain):
        body = plain[sentence.start : sentence.end]
        cited = [
            int(number)
            for index in re.findall(f"{_HOLD}(\\d+){_HOLD}", body)
            for number in re.findall(r"\d+", held[int(index)])
        ]
        text = re.sub(rf" ?{_HOLD}\d+{_HOLD}", "", body)
        text = " ".join(text.split()).replace("**", "").strip()
        if any(char.isalnum() for char in text):
            claims.append(Claim(text, tuple(dict.fromkeys(cited))))
        elif cited and claims:
            last = claims.pop()
            claims.append(Claim(last.text, tuple(dict.fromkeys((*last.cited, *cited)))))
    return tuple(claims)
