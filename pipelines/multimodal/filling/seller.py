"""Finds the seller of a bill: the company, by its legal form, its trade and the size of its print; never a slogan."""

import re
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from pipelines.multimodal.filling.addresses import STREET, is_address
from pipelines.multimodal.filling.dates import read_dates
from pipelines.multimodal.filling.printed import (
    CUSTOMER,
    PRICE,
    REGISTERED,
    Printed,
    Read,
    cells_of,
    is_number,
    letters,
)
from pipelines.multimodal.filling.spelling import with_forms, with_small_l, without_stray_accents
from pipelines.multimodal.filling.words import expression, words

# Lines that companies print below their names.
_SUPPORTS = re.compile(
    r"\d{5}|\b(?:tel|phone|fax|gst|vat|sst|invoice|receipt|bill|date|cashier|no|reg|www|rechnung|facture|quittung)\b|@|www",
    re.IGNORECASE,
)
_HEAD_LINES = 14
_LEGAL = re.compile(
    r"(?<!\w)(?:s[do]n\.? ?[bd]hd|s ?/ ?[b8]|bhd|ltd|limited|llc|llp|inc|incorporated|corp|corporation|plc|gmbh|mbh|ag|"
    r"kg|e\.?k|ohg|ug|s\.?a\.?r\.?l|s\.?r\.?l|s\.?p\.?a|s\.?a\.?s|s\.?a|n\.?v|b\.?v|oy|oyj|aps|a/s|sp\. ?z ?o\.?o|"
    r"s\.?l\.?u?|ltda|s\.a\. de c\.v|k\.k|co|pvt|pty|pte)\.?(?!\w)",
    re.IGNORECASE,
)
_TRADES = words("names", "trades")
_FORMER = re.compile(expression("names", "former"), re.IGNORECASE)
_NOT_A_NAME = re.compile(expression("names", "others") + r"|www|http|\.com|@", re.IGNORECASE)
_SLOGAN = re.compile(expression("names", "slogans") + r"|[!?\"\u201c\u201d]", re.IGNORECASE)


def find_seller(lines: Sequence[Mapping[str, Any]]) -> Read | None:
    """The company that issued the bill; None when nothing in its head looks like one."""
    head = _head(cells_of(lines))
    if not head:
        return None
    usual = median(cell.height for cell in head)
    best: tuple[float, int] | None = None
    for at in range(len(head)):
        score = _name_score(head, at, usual)
        if score > 0 and (best is None or score > best[0]):
            best = score, at
    if best is None:
        return None
    used = _whole_name(head, best[1])
    text = " ".join(without_number(cell.text) for cell in used).strip(" ,:;|-")
    text = with_forms(without_stray_accents(with_small_l(text), _TRADES))
    return Read(text, tuple(dict.fromkeys(cell.line for cell in used)), min(1.0, best[0] / 4))


def without_number(text: str) -> str:
    """`text` without the registration number after it."""
    if (found := REGISTERED.search(text)) and found.start() > 2 and not STREET.search(text):  # noqa: PLR2004
        return (text[: found.start()] + "." * found[0].startswith(".")).rstrip(" (-")
    return text


def _head(cells: Sequence[Printed]) -> list[Printed]:
    """The lines above the first date, price, table and customer of the first page."""
    head: list[Printed] = []
    for cell in cells:
        if cell.part != cells[0].part or len({other.line for other in head}) >= _HEAD_LINES:
            break
        if head and (PRICE.search(cell.text) or CUSTOMER.search(cell.text) or read_dates(cell.text)):
            if len(head) >= 3 or CUSTOMER.search(cell.text):  # noqa: PLR2004 - a date may stand above the name
                break
            continue
        head.append(cell)
    return head


def _name_score(head: Sequence[Printed], at: int, usual: float) -> float:
    cell = head[at]
    text = without_number(cell.text)
    if letters(text) < max(3, 0.55 * len(text.replace(" ", ""))) or len(text.split()) > 9:  # noqa: PLR2004
        return 0.0
    legal, trade = bool(_LEGAL.search(text)), _names_trade(text)
    if _NOT_A_NAME.search(text) and not legal:
        return 0.0
    if is_address(cell.text) and not legal:
        return 0.0
    before = head[at - 1].text if at else ""
    if _FORMER.search(before):
        return 0.1
    score = 1.0 + 2.0 * legal + 1.0 * trade - 1.5 * bool(_SLOGAN.search(text)) - 1.0 * bool(_NOT_A_NAME.search(text))
    score += 0.8 * min(1.0, max(0.0, cell.height / usual - 1))
    score += 0.6 if text.isupper() else 0.2 if text.istitle() else -0.4 if text.islower() else 0.0
    following = [other.text for other in head[at + 1 : at + 3]]
    if any(is_number(other) for other in following[:1]) or text != cell.text:
        score += 0.6
    if any(is_address(other) for other in following):
        score += 0.6
    if not legal and not any(map(_SUPPORTS.search, (other.text for other in head[at + 1 : at + 7]))):
        score -= 1.0  # any page may have a title at its head
    return score - 0.12 * at


def _names_trade(text: str) -> bool:
    return not _TRADES.isdisjoint(re.findall(r"[^\W\d_]+", without_stray_accents(text, _TRADES).lower()))


def _whole_name(head: Sequence[Printed], at: int) -> list[Printed]:
    """The name with the line before or after that belongs to it: of the same print, without a meaning of its own."""
    used = [head[at]]
    text = without_number(head[at].text)
    legal = _LEGAL.search(text)
    if at and _same_print(head[at - 1], head[at]) and _may_join(before := head[at - 1].text):
        if legal:
            is_rest = letters(text[: legal.start()]) < 4 or text.lstrip()[:1] in "&("  # noqa: PLR2004
            joins = is_rest or before.rstrip().endswith(("&", ",", " AND", " and"))
        else:
            joins = _is_joined(head, at - 1)
        used[:0] = [head[at - 1]] * joins
    if text == head[at].text and at + 1 < len(head) and _same_print(head[at], head[at + 1]):
        following = head[at + 1].text
        rest = _LEGAL.search(without_number(following))
        is_form = rest is not None and letters(without_number(following)[: rest.start()]) < 12  # noqa: PLR2004
        if not legal and _may_join(following) and (is_form or _is_joined(head, at)):
            used.append(head[at + 1])
    return used


def _is_joined(head: Sequence[Printed], at: int) -> bool:
    """Whether two lines without a legal form are one name: both name a trade, or a number or an address follows."""
    after = head[at + 2].text if at + 2 < len(head) else ""
    trades = [_names_trade(head[index].text) for index in (at, at + 1)]
    return any(trades) and (is_number(after) or is_address(after)) and not _LEGAL.search(head[at].text)


def _may_join(text: str) -> bool:
    return (
        not _NOT_A_NAME.search(text)
        and not _SLOGAN.search(text)
        and not is_address(text)
        and not is_number(text)
        and letters(text) > 2  # noqa: PLR2004 - a mark is no name
    )


def _same_print(one: Printed, other: Printed) -> bool:
    """Whether two cells have the same print size, and are one below the other without a gap."""
    smaller, larger = sorted((one.height, other.height))
    return larger < 1.45 * smaller and other.box[1] - one.box[3] < smaller and one.line != other.line
