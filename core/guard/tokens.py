"""The form of a token that stands for a value: ``<PERSON_1>``."""

import re
from typing import NamedTuple

# Models change the case of text that they copy.
TOKEN = re.compile(r"<([A-Za-z][A-Za-z0-9_]{0,39})_([1-9][0-9]{0,8})>")
# The start of a token, at the end of a text.
FORMING = re.compile(r"<(?:[A-Za-z][A-Za-z0-9_]{0,49})?$")
# The kind of a text that looked like a token before any was issued.
LITERAL = "literal"


class Token(NamedTuple):
    """A kind and a number, both as the map of a job tree holds them."""

    kind: str
    number: int

    def __str__(self) -> str:
        return f"<{self.kind.upper()}_{self.number}>"


def token_of(found: "re.Match[str]") -> Token:
    """The token that a match of `TOKEN` names."""
    return Token(found[1].lower(), int(found[2]))
