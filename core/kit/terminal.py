"""Makes characters that a terminal would obey instead of showing visible, in text from others."""

import re

# C0 but tab and newline, a carriage return at the end of a line, DEL and C1, and the marks that change the direction of
# the following text or break lines invisibly (Unicode TR 9 and 36).
_OBEYED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]|\r(?!\n)")
_DELETE = 0x7F
_PICTURES = 0x2400


def neutralize(text: str) -> str:
    """`text` with a visible sign in place of each such character; the same object when there is none."""
    return text if _OBEYED.search(text) is None else _OBEYED.sub(_picture, text)


def escape(json_text: str) -> str:
    """A JSON text with each such character, which can only occur within a string, escaped: its value is the same."""
    return json_text if _OBEYED.search(json_text) is None else _OBEYED.sub(_escaped, json_text)


def _picture(found: re.Match[str]) -> str:
    code = ord(found.group())
    if code < ord(" "):
        return chr(_PICTURES + code)
    return "\N{SYMBOL FOR DELETE}" if code == _DELETE else "\N{REPLACEMENT CHARACTER}"


def _escaped(found: re.Match[str]) -> str:
    return f"\\u{ord(found.group()):04x}"
