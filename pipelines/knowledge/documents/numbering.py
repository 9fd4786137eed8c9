"""The numbers of Word's lists, which the file does not hold: they are counted while reading (ECMA-376, 17.9)."""

from collections import defaultdict
from typing import Any

from docx.oxml.ns import qn

BULLET = "-"
_VAL = qn("w:val")
_ROMAN = ((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl"),
          (10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i"))  # fmt: skip


class Numbering:
    """Counts the items of each list. `part` is the root of ``numbering.xml``, or None when there is none."""

    def __init__(self, part: Any) -> None:
        self._formats: dict[tuple[str, int], str] = {}
        self._starts: dict[tuple[str, int], int] = {}
        self._counter_of: dict[str, str] = {}
        self._counts: dict[str, dict[int, int]] = defaultdict(dict)
        if part is not None:
            self._read(part)

    def marker(self, instance: str, level: int) -> str:
        """The marker of the next item of list `instance` at `level`: ``-``, or a number such as ``2.`` or ``b.``."""
        form = self._formats.get((instance, level), "bullet")
        if form in {"bullet", "none"}:
            return BULLET
        counts = self._counts[self._counter_of.get(instance, instance)]
        start = self._starts.get((instance, level), 1)
        counts[level] = counts.get(level, start - 1) + 1
        # An item restarts the lists below it.
        for deeper in [other for other in counts if other > level]:
            del counts[deeper]
        return f"{_written(counts[level], form)}."

    def _read(self, part: Any) -> None:
        abstracts = {
            element.get(qn("w:abstractNumId")): {
                int(level.get(qn("w:ilvl"), "0")): level for level in element.findall(qn("w:lvl"))
            }
            for element in part.findall(qn("w:abstractNum"))
        }
        for number in part.findall(qn("w:num")):
            instance = number.get(qn("w:numId"))
            reference = number.find(qn("w:abstractNumId"))
            abstract = reference.get(_VAL) if reference is not None else None
            overrides = {
                int(override.get(qn("w:ilvl"), "0")): override for override in number.findall(qn("w:lvlOverride"))
            }
            # Instances of one definition continue its count, unless an instance restarts it.
            self._counter_of[instance] = f"instance {instance}" if overrides else f"definition {abstract}"
            for level, element in abstracts.get(abstract, {}).items():
                self._formats[instance, level] = _value(element, "w:numFmt") or "decimal"
                start = _value(overrides.get(level), "w:startOverride") or _value(element, "w:start") or "1"
                self._starts[instance, level] = int(start) if start.isdigit() else 1


def _value(element: Any, name: str) -> str | None:
    found = element.find(qn(name)) if element is not None else None
    value: str | None = found.get(_VAL) if found is not None else None
    return value


def _written(number: int, form: str) -> str:
    if form in {"lowerLetter", "upperLetter"}:
        letters = chr(ord("a") + (number - 1) % 26) * ((number - 1) // 26 + 1)
        return letters if form == "lowerLetter" else letters.upper()
    if form in {"lowerRoman", "upperRoman"}:
        digits = ""
        for value, digit in _ROMAN:
            digits += digit * (number // value)
            number %= value
        return digits if form == "lowerRoman" else digits.upper()
    return str(number)
