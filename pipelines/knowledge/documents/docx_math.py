"""Word's equations (Office Math of ECMA-376) as a line: ``(a + b)/2``, ``x^2``, ``√(2g)``, ``∑_(k=1)^n k``."""

import re
from typing import Any

_M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"
_W_T = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}t"
# A number, a name or one sign needs no brackets.
_SIMPLE = re.compile(r"[\d.,]+[!'\u2032°%]?|[^\W\d_]*['\u2032]?|.")
_DEEPEST = 100
_INTEGRAL = "\u222b"
# Properties hold no text.
_PROPERTIES_END = "Pr"


def equation(element: Any, depth: int = 0) -> str:
    """An element of Office Math as text."""
    if not isinstance(element.tag, str):
        return ""
    name = element.tag.removeprefix(_M)
    if element.tag in {f"{_M}t", _W_T}:
        return element.text or ""
    if depth > _DEEPEST:
        return "".join(element.itertext(f"{_M}t"))
    if element.tag.startswith(_M) and name.endswith(_PROPERTIES_END):
        return ""
    write = _WRITERS.get(name) if element.tag.startswith(_M) else None
    return write(element, depth + 1) if write else _all(element, depth + 1)


def _all(element: Any, depth: int) -> str:
    text, closes = "", False
    for child in element:
        part = equation(child, depth)
        # The text after an exponent would be read as part of it.
        if closes and text[-1:].isalnum() and part[:1].isalnum():
            text += " "
        text += part
        closes = isinstance(child.tag, str) and child.tag.removeprefix(_M) in _WRITERS
    return text


def _part(element: Any, name: str, depth: int) -> str:
    found = element.find(f"{_M}{name}")
    return equation(found, depth).strip() if found is not None else ""


def _grouped(text: str) -> str:
    is_one = _SIMPLE.fullmatch(text) or _is_enclosed(text)
    return text if is_one else f"({text})"


def _is_enclosed(text: str) -> bool:
    if not (text.startswith("(") and text.endswith(")")):
        return False
    open_ones = 0
    for position, character in enumerate(text):
        open_ones += (character == "(") - (character == ")")
        if not open_ones:
            return position == len(text) - 1
    return False


def _property(element: Any, group: str, name: str, default: str) -> str:
    found = element.find(f"{_M}{group}/{_M}{name}")
    value: str = default if found is None else found.get(f"{_M}val", "")
    return value


def _fraction(element: Any, depth: int) -> str:
    above, below = _part(element, "num", depth), _part(element, "den", depth)
    if _property(element, "fPr", "type", "bar") == "noBar":
        return f"({above} above {below})"
    return f"{_grouped(above)}/{_grouped(below)}"


def _scripts(element: Any, depth: int) -> str:
    sub, sup = _part(element, "sub", depth), _part(element, "sup", depth)
    written = (f"_{_grouped(sub)}" if sub else "") + (f"^{_grouped(sup)}" if sup else "")
    if element.tag == f"{_M}sPre":
        return written + _part(element, "e", depth)
    base = _part(element, "e", depth)
    return (_grouped(base) if base else "") + written


def _root(element: Any, depth: int) -> str:
    degree, inside = _part(element, "deg", depth), _part(element, "e", depth)
    sign = {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree)
    return f"{sign}{_grouped(inside)}" if sign else f"{_grouped(inside)}^(1/{_grouped(degree)})"


def _operator(element: Any, depth: int) -> str:
    sign = _property(element, "naryPr", "chr", _INTEGRAL)
    sub, sup = _part(element, "sub", depth), _part(element, "sup", depth)
    limits = (f"_{_grouped(sub)}" if sub else "") + (f"^{_grouped(sup)}" if sup else "")
    return f"{sign}{limits} {_part(element, 'e', depth)}"


def _delimited(element: Any, depth: int) -> str:
    begin = _property(element, "dPr", "begChr", "(")
    end = _property(element, "dPr", "endChr", ")")
    between = _property(element, "dPr", "sepChr", "|")
    return begin + between.join(equation(each, depth).strip() for each in element.findall(f"{_M}e")) + end


def _function(element: Any, depth: int) -> str:
    name, argument = _part(element, "fName", depth), _part(element, "e", depth)
    return f"{name}{argument}" if argument.startswith("(") else f"{name} {argument}"


def _limit(element: Any, depth: int) -> str:
    mark = "_" if element.tag == f"{_M}limLow" else "^"
    return f"{_part(element, 'e', depth)}{mark}{_grouped(_part(element, 'lim', depth))}"


def _matrix(element: Any, depth: int) -> str:
    rows = [
        ", ".join(equation(each, depth).strip() for each in row.findall(f"{_M}e")) for row in element.findall(f"{_M}mr")
    ]
    return f"[{'; '.join(rows)}]"


def _equations(element: Any, depth: int) -> str:
    return "; ".join(equation(each, depth).strip() for each in element.findall(f"{_M}e"))


_WRITERS = {
    "f": _fraction, "sSup": _scripts, "sSub": _scripts, "sSubSup": _scripts, "sPre": _scripts, "rad": _root,
    "nary": _operator, "d": _delimited, "func": _function, "limLow": _limit, "limUpp": _limit, "m": _matrix,
    "eqArr": _equations,
}  # fmt: skip
