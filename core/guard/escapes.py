r"""What a text says whose letters JSON has escaped, ``Zo\u00eb`` for Zoë, and where in the text it stands.

A reader of JSON sees the letters, so a recognizer has to see them too.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass

# However often it was escaped: JSON in a text of JSON has two backslashes. What stands outside the BMP is a pair. A run
# of backslashes is looked at from its beginning only, so the time is linear.
_ESCAPE = re.compile(
    r"(?<!\\)\\++(?:u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\++u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u(?P<code>[0-9a-fA-F]{4})|(?P<sign>[bfnrt\"/]))"
)
_SIGNS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
# The most characters that one character is written with, in JSON within JSON.
ESCAPED_CHARACTERS = 7


@dataclass(frozen=True, slots=True)
class Unescaped:
    """What an escaped text says. The lists hold, for each escape, its place here and its two places there."""

    text: str
    places: list[int]
    starts: list[int]
    ends: list[int]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """Where ``text[start:end]`` stands in the escaped text."""
        return self._original(start), self._original(end)

    def _original(self, place: int) -> int:
        last = bisect_right(self.places, place) - 1
        if last < 0:
            return place
        past = place - self.places[last]
        return self.starts[last] if past == 0 else self.ends[last] + past - 1


def unescape(text: str) -> Unescaped | None:
    """What `text` says; None when nothing in it is escaped."""
    if "\\" not in text:
        return None
    parts: list[str] = []
    places: list[int] = []
    starts: list[int] = []
    ends: list[int] = []
    at = length = 0
    for found in _ESCAPE.finditer(text):
        length += found.start() - at
        parts += (text[at : found.start()], _letter(found))
        places.append(length)
        starts.append(found.start())
        ends.append(found.end())
        length, at = length + 1, found.end()
    return Unescaped("".join((*parts, text[at:])), places, starts, ends) if places else None


def _letter(found: re.Match[str]) -> str:
    if found["sign"]:
        return _SIGNS.get(found["sign"], found["sign"])
    if found["code"]:
        letter = chr(int(found["code"], 16))
        return letter if letter.isprintable() or letter.isspace() else "\ufffd"
    high, low = (int(found[name], 16) for name in ("high", "low"))
    return chr(0x10000 + ((high - 0xD800) << 10) + low - 0xDC00)
