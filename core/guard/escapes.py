r"""Decodes letters that JSON has escaped, ``Zo\u00eb`` for Zoë, and maps positions back to the original text.

A reader of JSON sees the letters, so a recognizer has to see them too.
"""

import re
from bisect import bisect_right
from dataclasses import dataclass

# At any level of escaping: JSON inside JSON text has two backslashes. A character outside the BMP is a pair. A run of
# backslashes is matched from its start only, so the time is linear.
_ESCAPE = re.compile(
    r"(?<!\\)\\++(?:u(?P<high>[dD][89abAB][0-9a-fA-F]{2})\\++u(?P<low>[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|u(?P<code>[0-9a-fA-F]{4})|(?P<sign>[bfnrt\"/]))"
)
_SIGNS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
# The maximum number of characters that encode one character, in JSON within JSON.
ESCAPED_CHARACTERS = 7


@dataclass(frozen=True, slots=True)
class Unescaped:
    """A decoded text. The lists hold, for each escape, its position here and its start and end in the original."""

    text: str
    places: list[int]
    starts: list[int]
    ends: list[int]

    def original(self, start: int, end: int) -> tuple[int, int]:
        """The position of ``text[start:end]`` in the escaped text."""
        return self._original(start), self._original(end)

    def _original(self, place: int) -> int:
        last = bisect_right(self.places, place) - 1
        if last < 0:
            return place
        past = place - self.places[last]
        return self.starts[last] if past == 0 else self.ends[last] + past - 1


def unescape(text: str) -> Unescaped | None:
    """`text` decoded; None when nothing in it is escaped."""
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
