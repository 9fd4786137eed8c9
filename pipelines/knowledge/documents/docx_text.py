"""The text of a Word paragraph: insertions accepted, deletions rejected, hidden text left out, fields as shown."""

from collections.abc import Iterator, Mapping
from typing import Any

from docx.oxml.ns import qn

from pipelines.knowledge.documents.docx_math import equation
from pipelines.knowledge.documents.docx_symbols import symbol

_VAL = qn("w:val")
BOX = qn("w:txbxContent")
FALLBACK = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
# Deleted and moved-away text, the old-Word copy of a drawing, and text boxes, which are read after their paragraph.
_DROPPED = frozenset({qn("w:del"), qn("w:moveFrom"), BOX, FALLBACK})
_MATH = "{http://schemas.openxmlformats.org/officeDocument/2006/math}oMath"
_W14 = "{http://schemas.microsoft.com/office/word/2010/wordml}"
_TEXT_PATH = "{urn:schemas-microsoft-com:vml}textpath"
_OFF = frozenset({"0", "false", "off"})
_CHOICES_MAX = 1000


class TextReader:
    """Reads paragraphs of one document. `hidden_styles` are those whose text is not shown.

    `left_out` collects (kind, text) of skipped content.
    """

    def __init__(self, hidden_styles: frozenset[str]) -> None:
        self._hidden_styles = hidden_styles
        self.left_out: list[tuple[str, str]] = []

    def read(self, element: Any) -> str:
        """The text of a paragraph or of an element within one."""
        return "".join(self._pieces(element))

    def _pieces(self, element: Any) -> Iterator[str]:
        for child in element:
            if child.tag in _DROPPED or (child.tag == qn("w:r") and self._passes_over(child)):
                continue
            if child.tag == qn("w:t"):
                yield child.text or ""
            elif child.tag in _SHORT:
                yield "" if is_page_break(child) else _SHORT[child.tag]
            elif (special := self._special(child)) is not None:
                yield special
            else:
                yield from self._pieces(child)

    def _special(self, element: Any) -> str | None:
        """The text of an element that is more than its runs; None for others."""
        if element.tag == _MATH:
            return equation(element)
        if element.tag == qn("w:sdt"):
            return self._control(element)
        if element.tag == qn("w:sym"):
            return self._symbol(element)
        if element.tag == qn("w:ffData"):
            return _form_field(element)
        if element.tag == qn("w:ruby"):
            base, above = (self.read(part) for part in _ruby(element))
            return f"{base}({above})" if above else base
        return str(element.get("string", "")) if element.tag == _TEXT_PATH else None

    def _passes_over(self, run: Any) -> bool:
        hidden = self._is_hidden(run)
        if hidden:
            self._leave_out("hidden", run)
        return hidden

    def _is_hidden(self, run: Any) -> bool:
        properties = run.find(qn("w:rPr"))
        own = properties.find(qn("w:vanish")) if properties is not None else None
        if own is not None:
            return own.get(_VAL, "1") not in _OFF
        if not self._hidden_styles:
            return False
        style = properties.find(qn("w:rStyle")) if properties is not None else None
        if style is not None and style.get(_VAL) in self._hidden_styles:
            return True
        paragraph = next(run.iterancestors(qn("w:p")), None)
        of_paragraph = paragraph.find(f"{qn('w:pPr')}/{qn('w:pStyle')}") if paragraph is not None else None
        return of_paragraph is not None and of_paragraph.get(_VAL) in self._hidden_styles

    def _control(self, control: Any) -> str:
        properties, content = control.find(qn("w:sdtPr")), control.find(qn("w:sdtContent"))
        if properties is not None:
            box = properties.find(f"{_W14}checkbox")
            if box is not None:
                checked = box.find(f"{_W14}checked")
                return "[x]" if checked is not None and checked.get(f"{_W14}val", "1") not in _OFF else "[ ]"
            if properties.find(qn("w:showingPlcHdr")) is not None and content is not None:
                self._leave_out("placeholder", content)
                return ""
        return self.read(content) if content is not None else ""

    def _symbol(self, element: Any) -> str:
        font, code = element.get(qn("w:font"), ""), element.get(qn("w:char"), "")
        found = symbol(font, code)
        if found is None:
            self.left_out.append(("symbol", f"{font} {code}"))
        return found or ""

    def _leave_out(self, what: str, element: Any) -> None:
        text = "".join(element.itertext(qn("w:t")))
        if text.strip():
            self.left_out.append((what, text))


_SHORT: Mapping[str, str] = {
    qn("w:tab"): " ",
    qn("w:ptab"): " ",
    qn("w:noBreakHyphen"): "-",
    qn("w:softHyphen"): "",
    qn("w:br"): "\n",
    qn("w:cr"): "\n",
}


def is_page_break(element: Any) -> bool:
    """Whether a break ends the page."""
    return bool(element.get(qn("w:type")) == "page")


def _ruby(element: Any) -> tuple[Any, Any]:
    empty: tuple[Any, ...] = ()
    base, above = element.find(qn("w:rubyBase")), element.find(qn("w:rt"))
    return (base if base is not None else empty), (above if above is not None else empty)


def _form_field(data: Any) -> str:
    """The content that a form field of old Word shows but its runs do not hold."""
    box = data.find(qn("w:checkBox"))
    if box is not None:
        state = box.find(qn("w:checked"))
        state = state if state is not None else box.find(qn("w:default"))
        return "[x]" if state is not None and state.get(_VAL, "1") not in _OFF else "[ ]"
    choices = data.find(qn("w:ddList"))
    if choices is None:
        return ""
    entries = [entry.get(_VAL, "") for entry in choices.findall(qn("w:listEntry"))[:_CHOICES_MAX]]
    chosen = choices.find(qn("w:result"))
    number = chosen.get(_VAL, "0") if chosen is not None else "0"
    return entries[int(number)] if number.isdigit() and int(number) < len(entries) else ""
