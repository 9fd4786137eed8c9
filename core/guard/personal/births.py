"""Dates of birth: a date after a word for birth."""

from collections.abc import Iterator

from core.guard.personal.candidates import Candidate, is_bounded, preceding
from core.guard.records import EntityKind
from core.kit.expressions import Expression

_MONTHS = (
    "jan(?:uary|uar|vier|uari|eiro)?|enero|gennaio|feb(?:ruary|ruar|ruari|rero|braio)?|févr(?:ier)?|f[ée]v(?:ereiro)?"
    "|mar(?:ch|s|zo|ço)?|märz|maart|apr(?:il|ile)?|avr(?:il)?|abr(?:il)?|may|mai|mei|mayo|maggio|maio|june?|juni|juin"
    "|junio|giugno|junho|july?|juli|juil(?:let)?|julio|luglio|julho|aug(?:ust|ustus)?|août|agosto?|sep(?:t|tember|tembre"
    "|tiembre)?|settembre|setembro|o[ck]t(?:ober|obre|ubre)?|ottobre|outubro|nov(?:ember|embre|iembre|embro)?"
    "|de[cz](?:ember|embro)?|déc(?:embre)?|diciembre|dicembre"
)
# OCR confusions in digits: O for 0, l and I for 1.
_D = "[0-9OoIl]"
_DATE = Expression(
    rf"{_D}{{1,2}}\s?[./\-]\s?{_D}{{1,2}}\s?[./\-]\s?(?:{_D}{{4}}|{_D}{{2}})"
    rf"|(?:19|20)[0-9]{{2}}[./\-][0-9]{{1,2}}[./\-][0-9]{{1,2}}"
    rf"|[0-9]{{1,2}}(?:st|nd|rd|th|er|\.|º)?\s(?:of\s|de\s)?(?:{_MONTHS})\.?,?\s(?:de\s)?(?:19|20)[0-9]{{2}}"
    rf"|(?:{_MONTHS})\.?\s[0-9]{{1,2}}(?:st|nd|rd|th)?,?\s(?:19|20)[0-9]{{2}}",
    ignore_case=True,
)
_BIRTH = Expression(
    r"(?:born|birth|\bbirthday|\bd\.?o\.?b\b|\bbday|geboren|geburtsdatum|geburtstag|\bgeb\b|\bn[ée]e? le\b|naissance"
    r"|geboortedatum|\bnacid[oa]|nacimiento|\bnat[oa] il\b|nascita|\bnat[oa]\b|nascid[oa]|nascimento)[^0-9]{0,30}$",
    ignore_case=True,
)
_CONTEXT_LENGTH = 45


def find_dates_of_birth(text: str) -> Iterator[Candidate]:
    """Dates in the formats of several countries, after a word for birth."""
    for match in _DATE.matches_in(text):
        start, end = match.start(), match.end()
        if is_bounded(text, start, end) and _BIRTH.is_in(preceding(text, start, _CONTEXT_LENGTH)):
            yield Candidate(EntityKind.DATE_OF_BIRTH, start, end, 0.9, "date_of_birth")
