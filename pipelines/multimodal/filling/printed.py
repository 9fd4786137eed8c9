"""Printed cells with their sizes, and common traits of names and addresses."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Registration numbers after a name or below it.
REGISTERED = re.compile(
    r"[\s(\[]{0,3}(?:(?:co(?:mpany)?|business|reg(?:istration)?|roc|brn|ssm)[\s.]{0,3}){0,3}(?:no\.?)?[\s:.]{0,3}"
    r"\(?[A-Z]{0,3}\d[\d -]{4,20}[A-Z]{0,2}[\])]{0,2} {0,3}$",
    re.IGNORECASE,
)
_REGISTRY = re.compile(r"\b(?:co|reg|roc|brn)\b", re.IGNORECASE)
_DIGITS = re.compile(r"\d{4}")
PRICE = re.compile(r"\d[.,]\d\d(?!\d)")
CUSTOMER = re.compile(
    r"\b(?:(?:bill(?:ed)?|sold|ship(?:ped)?|deliver(?:ed)?) to|customer|client|attn|attention|buyer|recipient|m/s)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Printed:
    """A cell of a line as it is printed: text, height of the print, edges, and the line's index."""

    text: str
    line: int
    part: int
    box: tuple[float, float, float, float]
    is_first: bool

    @property
    def height(self) -> float:
        """The height of its print."""
        return self.box[3] - self.box[1]


@dataclass(frozen=True, slots=True)
class Read:
    """A text with its lines, and the strength of its evidence (0 to 1)."""

    text: str
    lines: tuple[int, ...]
    strength: float


def cells_of(lines: Sequence[Mapping[str, Any]]) -> list[Printed]:
    """The cells of the lines that have places on a page."""
    found = []
    for index, line in enumerate(lines):
        for number, cell in enumerate(line.get("cells") or ()):
            place = (index, int(line.get("part", 0)), tuple(cell["box"]), number == 0)
            found.append(Printed(str(cell["text"])[:200].strip(), *place))
    return found


def letters(text: str) -> int:
    """How many letters there are in `text`."""
    return sum(map(str.isalpha, text))


def is_number(text: str) -> bool:
    """Whether `text` is the registration number of a company."""
    is_plain = REGISTERED.fullmatch(text) and (sum(map(str.isdigit, text)) > 5 or text[:1] == "(")  # noqa: PLR2004
    return bool(is_plain) or bool(_REGISTRY.search(text) and _DIGITS.search(text))
