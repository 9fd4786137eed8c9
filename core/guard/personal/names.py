"""Names of persons by their context: a title, a salutation, a signature, a form field."""

from collections.abc import Iterator
from pathlib import Path

from core.guard.personal.candidates import Candidate
from core.guard.records import EntityKind
from core.kit.expressions import Expression

_PART = r"\p{Lu}[\p{L}'\x{2019}\-]+"
_INITIAL = r"\p{Lu}\."
_PARTICLE = (
    r"(?:van der|van den|van de|van|von der|von|zu|de la|de los|de|der|den|del|della|di|da|dos|do|la|le"
    r"|al|el|bin|ten|ter|Ní|Mc)"
)
_NAME = rf"(?:{_PART}|{_INITIAL})(?:[ \t]{{1,2}}(?:{_PARTICLE}[ \t])?(?:{_PART}|{_INITIAL})){{0,3}}"
_LOWER = r"\p{L}[\p{L}'\x{2019}\-]+(?:[ \t](?:\p{L}[\p{L}'\x{2019}\-]+)){0,2}"
_TITLE = (
    r"(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Professor|Sir|Dame|Herrn?|Frau|Madame|Mme|Monsieur|Mlle|Mevrouw|Mevr|Meneer|Dhr"
    r"|Señora?|Sra?|Don|Doña|Signora?|Sig|Signor|Senhora?)"
)
_TITLED = Expression(rf"\b{_TITLE}\b\.?[ \t]{{1,2}}(?:{_TITLE}\b\.?[ \t])?({_NAME})")
_TITLED_LOWER = Expression(r"\b(?:mr|mrs|ms|miss|dr)\b\.? (\p{L}[\p{L}'\x{2019}\-]+(?: \p{L}[\p{L}'\x{2019}\-]+)?)")
_SELF = Expression(
    rf"(?:\b[Mm]y (?:full )?name(?:'s| is)|\b[Nn]ame is|\b(?:call|calls) me|\b[Ii]t'?s me|\bthis is|\bThis is"
    rf"|\b[Jj]e m'appelle"
    rf"|\b[Mm]ein [Nn]ame ist|\b[Ii]ch hei(?:ß|ss)e|\b[Hh]ier ist|\b[Ii]ch bin|\b[Mm]ijn naam is|\b[Mm]e llamo"
    rf"|\b[Ss]oy"
    rf"|\b[Mm]i nombre es|\b[Mm]i chiamo|\b[Mm]eu nome é|\bI'm|\b[Ii] am|\bname of|\ba nombre de|\bintestato a"
    rf"|\baccount of|\bpartner's name|\bmaiden name is)"
    rf",?[ \t]({_NAME})"
)
_SELF_LOWER = Expression(
    rf"(?:\bmy name(?:'s| is)|\bname is|\bcall me|\bit'?s me|\bhere is|\bthis is|\bjoin(?:ed)? as|\baccount of"
    rf"|\bmy name:|\bname:) ({_LOWER})",
    ignore_case=True,
)
_FIELD = Expression(
    r"(?:^|[\n|;>\t,({])[ \t\"']{0,4}(?i:(?:full |first |last |family |given |contact |customer |account ?|card)?[ ]?"
    r"(?:n ?a ?m ?e|names)|surname|customer|client|contact(?: person)?|patient|applicant|employee|recipient|attn"
    r"|attention"
    r"|signed(?: by)?|witness|sold to|deliver(?: to)?|bill to|ship to|invoice to|inv[o0]ice t[o0]|cardholder"
    r"|kundin|kunde|empfänger"
    r"|from|to|nom|prénom|vorname|nachname|naam|voornaam|achternaam|nombre|apellidos?|nome|cognome|destinatario)"
    rf"[ \t]{{0,2}}[:=|][ \t\"']{{0,3}}\n?[ \t>]{{0,3}}(?:{_TITLE}\b\.?[ \t])?({_NAME}|{_PART}, {_PART}"
    rf"(?: {_INITIAL})?)"
)
_SALUTATION = Expression(
    r"(?:^|\n|[.!?] )[ \t>]{0,4}(?i:hi|hello|dear|hey|hallo|lieber?|liebe|bonjour|salut|chère?|beste|hola|ciao"
    r"|cara|caro|estimad[oa]"
    rf"|good (?:morning|afternoon|evening))[ \t]{{1,2}}({_NAME})[ \t]{{0,2}}(?:[,!:\n\x{2014}-]|$)"
)
_SIGNATURE = Expression(
    r"(?i:regards|sincerely|cheers|best|thanks|thank you|yours|yours truly|grüßen|grüße|gruß|cordialement"
    r"|salutations|groet(?:en)?|saludos"
    rf"|saluti|wishes)[ \t]{{0,2}}[,.!]?[ \t]{{0,2}}\n[\n \t>\x{2013}\x{2014}-]{{0,6}}({_NAME})[ \t]{{0,2}}(?:\n|$)"
)
_REGARDS = Expression(rf"(?i:regards|cheers|grüße|groetjes),? ({_NAME})[ \t.]{{0,2}}(?:\n|$)")
NOT_NAMES = frozenset(Path(__file__).with_name("not_names.txt").read_text("utf-8").split())


def find_names(text: str) -> Iterator[Candidate]:
    """Names that their context identifies. Those in small letters only after unmistakable words."""
    for name, expression, score in (
        ("title", _TITLED, 0.85),
        ("title", _TITLED_LOWER, 0.7),
        ("introduction", _SELF, 0.8),
        ("introduction", _SELF_LOWER, 0.65),
        ("field", _FIELD, 0.8),
        ("salutation", _SALUTATION, 0.75),
        ("signature", _SIGNATURE, 0.8),
        ("signature", _REGARDS, 0.75),
    ):
        for match in expression.matches_in(text):
            start, end = _trimmed(text, match.start(1), match.end(1))
            if end > start:
                yield Candidate(EntityKind.PERSON, start, end, score, name)


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The words up to the first that is not part of a name."""
    position = start
    for word in text[start:end].split():
        begins = text.index(word, position)
        if word.strip(".,'\u2019-").lower() in NOT_NAMES:
            return start, len(text[:begins].rstrip(" \t,")) if begins > start else start
        position = begins + len(word)
    return start, end
