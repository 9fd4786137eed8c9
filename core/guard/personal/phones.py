"""Phone numbers of all countries, distinguished from other numbers by form, validity and the words around them."""

from collections.abc import Iterator

from core.guard.personal.candidates import Candidate, is_bounded, preceding
from core.guard.records import EntityKind
from core.kit.expressions import Expression

_NUMBER = Expression(
    r"\+?\s?\(?[0-9](?:[ ().\-/\x{a0}]{0,3}[0-9]){6,16}(?:,?\s{0,2}(?:x|ext\.?|extension"
    r"|durchwahl)\s{0,2}[0-9]{1,6})?",
    ignore_case=True,
)
_GROUP = Expression(r"[0-9]+")
_EXTENSION = Expression(r"[xed][a-z. ]{0,12}[0-9]{1,6}$", ignore_case=True)
_PHONE_WORD = Expression(
    r"phone|\btel\b|\btel[.:]|t[ée]l[ée]f|mobile?\b|m[óo]vil|celular|cellulare|\bmob\b|\bcell\b|\bfax\b|whatsapp"
    r"|\bcall(?:ed|ing)?\b|\bring\b|\btext(?: me| us)\b|\breach|\bdial|answering|my number|contact number|\bph\b"
    r"|\bbel\b"
    r"|bellen|\bruf|rückruf|erreichbar|appele|\bjoindre|joint[e]? au|joignable|ll[aá]ma|\bgsm\b|handy|portable"
    r"|chiam|\bT:? $|\bM:? $",
    ignore_case=True,
)
_PHONE_WORD_AFTER = Expression(
    r"^[ \-(]{0,3}(?:office|fax|mobile|cell|home|work|mobil|handy|is my (?:cell|number|phone"
    r"|mobile))",
    ignore_case=True,
)
_OTHER_NUMBER = Expression(
    r"(?:order|invoice|tracking|ean|gtin|isbn|sku|article|artikel|item|serial|imei|ticket|reference|ref|part|version"
    r"|claim|account|konto|bestellung|auftrag|rechnung|commande|facture|pedido|factura|ordine|fattura|bestelling"
    r"|factuur"
    r"|port|po|batch|lot|plant|material|card|ssn|social security|code|codes|id|bsn|license|licence|passport|nhs|iban)"
    r"(?:[ \-]?(?:number|numero|numéro|número|no|nr|num|nummer|is))?[\s.:#=]{0,3}$",
    ignore_case=True,
)
_DATE = Expression(
    r"^(?:[0-9]{1,2}[./\-][0-9]{1,2}[./\-](?:[0-9]{4}|[0-9]{2})|[0-9]{4}[./\-][0-9]{1,2}[./\-][0-9]{1,2})"
    r"(?:[^0-9.\-]|$)"
    r"|^(?:19|20)[0-9]{2}\.[0-9]{1,2}\.[0-9]{1,6}$"
)
_NORTH_AMERICAN = Expression(
    r"^(?:\+?1[ .\-]?)?(?:\([2-9][0-9]{2}\) ?"
    r"|[2-9][0-9]{2}[ .\-])[2-9][0-9]{2}[ .\-][0-9]{4}"
)
_CONTEXT_LENGTH = 40
_DIGITS_MIN, _DIGITS_MAX = 7, 15
_UNNAMED_DIGITS_MIN = 9
_DROPPED_GROUPS_MAX = 3
# Where numbers with a leading zero, and without, are looked up; the first few decide most.
_TRUNK_REGIONS = ("DE", "GB", "FR", "NL", "BE", "CH", "AT", "SE", "AU", "ZA", "JP", "IE", "IT")
_OTHER_REGIONS = ("US", "ES", "IT", "PL", "PT", "DK", "IN")


def find_phones(text: str) -> Iterator[Candidate]:
    """Numbers of 7 to 15 digits: international ones, national ones in groups, and any after a word for a phone."""
    for match in _NUMBER.matches_in(text):
        start, end = match.start(), match.end()
        while text[start].isspace() or (text[start] == "(" and ")" not in text[start:end]):
            start += 1
        if not is_bounded(text, start, end) or _DATE.is_in(text[start:end]):
            continue
        before = preceding(text, start, _CONTEXT_LENGTH)
        is_named = _PHONE_WORD.is_in(before) or _PHONE_WORD_AFTER.is_in(text[end : end + 24])
        if _OTHER_NUMBER.is_in(before) or (start > 0 and text[start - 1] in "$€£#"):
            continue
        if (found := _judged(text, start, end, is_named)) is not None:
            yield found


def _judged(text: str, start: int, end: int, is_named: bool) -> Candidate | None:
    """The longest prefix of the number that is a phone number: the rest may be the next item in the line."""
    number = text[start:end]
    ends = [match.end() for match in _GROUP.matches_in(number)]
    for position in reversed(ends[-_DROPPED_GROUPS_MAX - 1 :]):
        score = _score(number[:position], is_named)
        if score > 0:
            return Candidate(EntityKind.PHONE, start, start + position, score, "phone")
    return None


def _score(number: str, is_named: bool) -> float:
    body = number
    for extension in _EXTENSION.matches_in(number):
        body = number[: extension.start()].rstrip(" ,")
    digits = "".join(filter(str.isdigit, body))
    if body.startswith("+") or digits.startswith("00"):
        return _international_score(digits.removeprefix("00"), is_marked=is_named or body.startswith("+"))
    if not _DIGITS_MIN <= len(digits) <= _DIGITS_MAX:
        return 0
    if _NORTH_AMERICAN.is_in(body):
        return 0.85 if is_named else 0.65
    is_grouped = len(body) > len(digits)
    if not is_named and not (is_grouped and len(digits) >= _UNNAMED_DIGITS_MIN and digits.startswith("0")):
        return 0
    regions = _TRUNK_REGIONS if digits.startswith("0") else _OTHER_REGIONS
    is_valid = any(_is_valid(digits, region) for region in regions)
    return (0.85 if is_valid else 0.65) if is_named else 0.6 * is_valid


def _international_score(digits: str, *, is_marked: bool) -> float:
    if not _DIGITS_MIN <= len(digits) <= _DIGITS_MAX:
        return 0
    return 0.95 if _is_valid(f"+{digits}", None) else 0.7 * is_marked


def _is_valid(number: str, region: str | None) -> bool:
    import phonenumbers

    try:
        return phonenumbers.is_valid_number(phonenumbers.parse(number, region))
    except phonenumbers.NumberParseException:
        return False
