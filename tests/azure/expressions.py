"""The code in an HCL file: what is left when comments and the text of strings are blanked out."""

import re

_TOKEN = re.compile(r"#[^\n]*|//[^\n]*|.", re.DOTALL)
_PART = re.compile(r"\\.|\$\$|%%|[$%]\{|.", re.DOTALL)


def code(text: str) -> str:
    """`text` with comments and literal text replaced by spaces, so that every place stays where it was.

    What stands inside `${…}` is code and stays. Heredocs are not known here.
    """
    kept: list[str] = []
    _expression(text, 0, kept)
    return "".join(kept)


def _expression(text: str, at: int, kept: list[str]) -> int:
    """Read up to the brace that closes an interpolation, or to the end; returns the place behind it."""
    depth = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        assert found is not None
        token, at = found[0], found.end()
        if token == '"':
            kept.append(token)
            at = _string(text, at, kept)
        elif token == "}" and depth == 0:
            kept.append(" ")
            return at
        else:
            depth += (token == "{") - (token == "}")
            kept.append(token if len(token) == 1 else " " * len(token))
    return at


def _string(text: str, at: int, kept: list[str]) -> int:
    """Read up to the quote that closes a string; returns the place behind it."""
    while True:
        found = _PART.match(text, at)
        if found is None:
            raise ValueError("a string does not end")
        token, at = found[0], found.end()
        if token == '"':
            kept.append(token)
            return at
        kept.append(" " * len(token))
        if token in {"${", "%{"}:
            at = _expression(text, at, kept)
