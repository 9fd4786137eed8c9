"""Finds addresses: runs of lines that start like one and continue until something else starts, joined as one text."""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from pipelines.multimodal.filling.dates import read_dates
from pipelines.multimodal.filling.printed import CUSTOMER, PRICE, Printed, Read, cells_of, is_number, letters
from pipelines.multimodal.filling.spelling import with_small_l, with_spaces, without_stray_accents
from pipelines.multimodal.filling.words import expression

_BLOCK_LINES = 7
_LABELS_MAX = 20
_DELIVERY = re.compile(r"ship|deliver", re.IGNORECASE)
STREET = re.compile(
    expression("addresses", "streets") + r"|\w(?:stra(?:ss|ß)e|str\.|weg|gasse|platz|straat|laan)|\bp\.?o\.? box\b",
    re.IGNORECASE,
)
_NUMBERED = re.compile(r"^\W*(?:no\.?|lot|unit|\d{1,5}[A-Z]?\W|[A-Z]{1,2}\d?-\d|g-)", re.IGNORECASE)
# Five digits (also parted after the second), and the forms of Britain and Canada.
_POSTCODE = re.compile(
    r"(?<![\d-])\d{5}(?!\d)|\b\d\d \d{3}\b(?= ?[A-Z])|\b[A-Z]{1,2}\d[A-Z\d]? ?\d[A-Z]{2}\b|\b[A-Z]\d[A-Z] ?\d[A-Z]\d\b"
)
_ENDS_ADDRESS = re.compile(
    expression("addresses", "ends") + r"|\bh/p\b|\be-mail\b|\bco\.? no\b|@|\bT ?:|\.com|\d{8}", re.IGNORECASE
)
_PHONE = re.compile(r"^\W*(?:\+?\d{1,3}[-. ])?\(?\d{2,4}\)?[-. ]\d{3,4}[-. ]?\d{3,4}\b|^\W*\+\d[\d -]{7,}")


def is_address(text: str) -> bool:
    """Whether `text` has the marks of an address, and none of the lines that follow one."""
    return not _ends_address(text) and _address_score(text) >= 2  # noqa: PLR2004


def _address_score(text: str) -> int:
    """How many of the marks of an address: a street's word, a number in front, a postcode, commas."""
    marks = 2 * bool(STREET.search(text)) + bool(_NUMBERED.search(text)) + 2 * bool(_POSTCODE.search(text))
    return marks + ("," in text)


def _ends_address(text: str) -> bool:
    found = _ENDS_ADDRESS.search(text)
    return found is not None or bool(_PHONE.search(text)) or bool(PRICE.search(text)) or bool(read_dates(text))


def find_address(lines: Sequence[Mapping[str, Any]], seller: Read | None) -> Read | None:
    """The seller's address, all of its lines joined; None without one."""
    cells = cells_of(lines)
    if not cells:
        return None
    begin = seller.lines[-1] + 1 if seller else 0
    customer = next((cell.line for cell in cells if cell.line >= begin and CUSTOMER.search(cell.text)), None)
    for block in _blocks([cell for cell in cells if cell.line >= begin]):
        if customer is not None and block[0].line >= customer:
            break
        score = sum(_address_score(cell.text) for cell in block)
        is_near = seller is not None and block[0].line - seller.lines[-1] <= 4  # noqa: PLR2004
        if score >= (3 if is_near else 4):  # a street with a number, a comma, a postcode
            near = 1.0 if is_near else 0.5
            return _address(block, near * min(1.0, score / 8))
    return None


def find_other_address(lines: Sequence[Mapping[str, Any]], words: Collection[str]) -> Read | None:
    """The address below a label like *Bill to* or *Ship to*; `words` are those of the requested property."""
    is_delivery = bool({"shipping", "ship", "delivery"} & set(words))
    cells = cells_of(lines)
    labels = [(cell, found[0]) for cell in cells if (found := CUSTOMER.search(cell.text))]
    for label, words_of_label in labels[:_LABELS_MAX]:
        if bool(_DELIVERY.match(words_of_label)) != is_delivery:
            continue
        below = [
            cell
            for cell in cells
            if label.line < cell.line <= label.line + _BLOCK_LINES
            and cell.box[0] < label.box[2] < cell.box[2] + label.box[2]
        ]
        block = next(iter(_blocks(below)), None)
        if block and sum(_address_score(cell.text) for cell in block) >= 3:  # noqa: PLR2004
            return _address(block, 0.8)
    return None


def _address(block: Sequence[Printed], strength: float) -> Read:
    text = " ".join(cell.text.strip(" :;|\"'") for cell in block)
    text = without_stray_accents(with_small_l(text), {word.lower() for word in re.findall(r"[A-Za-z]{4,}", text)})
    return Read(with_spaces(text).strip(" ,"), tuple(dict.fromkeys(cell.line for cell in block)), strength)


def _blocks(cells: Sequence[Printed]) -> list[list[Printed]]:
    """Runs of lines that start like an address and continue, one below the other, until something else starts."""
    blocks: list[list[Printed]] = []
    block: list[Printed] = []
    for cell in cells:
        if block and _belongs(cell, block):
            block.append(cell)
            continue
        if block and cell.line == block[-1].line:
            continue  # another column
        if block:
            blocks.append(block)
        block = [cell] if _begins(cell) else []
    return [*blocks, block] if block else blocks


def _begins(cell: Printed) -> bool:
    return not _ends_address(cell.text) and _address_score(cell.text) >= 2 and not is_number(cell.text)  # noqa: PLR2004


def _belongs(cell: Printed, block: Sequence[Printed]) -> bool:
    last = block[-1]
    overlaps = cell.box[0] < max(each.box[2] for each in block) and cell.box[2] > min(each.box[0] for each in block)
    is_below = cell.line > last.line and cell.part == last.part and cell.box[1] - last.box[3] < 1.2 * last.height
    is_text = letters(cell.text) > 1 and not _ends_address(cell.text) and not is_number(cell.text)
    return overlaps and is_below and is_text and len(block) < _BLOCK_LINES
