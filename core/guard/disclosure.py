"""Discloses machine-generated content: a mark for programs, and a sentence for the person who reads a reply.

The terms of the mark are those of the IPTC Photo Metadata Standard 2025.1, which images and PDFs carry as XMP.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID
from xml.sax.saxutils import escape

from core.guard.policy import Disclosure
from core.kit.clock import isoformat
from core.kit.ids import JOB, encode

GENERATOR = "Waybill"
SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
# This model's answers consist of text that it was given to read, word for word.
QUOTING = frozenset({"local/extractive"})

# One sentence per language, and the small words by which a reply's language is recognized.
NOTICES: Mapping[str, str] = {
    "en": "This message was written by an automated AI assistant.",
    "de": "Diese Nachricht wurde von einem automatischen KI-Assistenten verfasst.",
    "fr": "Ce message a été rédigé par un assistant automatique utilisant l'IA.",
    "nl": "Dit bericht is geschreven door een automatische AI-assistent.",
    "es": "Este mensaje ha sido redactado por un asistente automático de IA.",
}
_SMALL_WORDS = {
    "en": "the and you your we our is are was has have will not for with this that please thank been it to of",
    "de": "der die das und ist sie ihre ihr wir nicht mit für ein eine wurde haben auf bitte zu den dem von im",
    "fr": "le la les et est vous votre nous notre pas avec pour un une des du sera merci cette ce au que sur",
    "nl": "de het en een is u uw wij we onze niet met voor van dat deze dit wordt hebben bedankt op te zijn",
    "es": "el la los las y es usted su nuestro nuestra no con para un una del gracias por que este esta se lo hemos",
}
_WORDS_OF = {language: frozenset(words.split()) for language, words in _SMALL_WORDS.items()}
_WORD = re.compile(r"[^\W\d_]+")
_READ_CHARACTERS = 4_000

_RDF_END = b"</rdf:RDF>"
_XMP = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>\n'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    "</rdf:RDF></x:xmpmeta>\n"
    '<?xpacket end="w"?>'
).encode()


@dataclass(frozen=True, slots=True)
class Mark:
    """Which job made something, and when; `model` wrote it, if a model did and its name is known."""

    job_id: UUID
    generated_at: datetime
    model: str | None = None
    model_version: str | None = None

    def plain(self) -> dict[str, Any]:
        """The mark as JSON: beside results, in events and webhooks, and as front matter."""
        return {
            "ai_generated": True,
            "generator": GENERATOR,
            "job_id": encode(JOB, self.job_id),
            "model": self.model,
            "model_version": self.model_version,
            "generated_at": isoformat(self.generated_at),
            "digital_source_type": SOURCE_TYPE,
        }

    def xmp(self, existing: bytes | None = None) -> bytes | None:
        """The mark as an XMP packet, or `existing` with the mark added; None when that cannot hold it."""
        packet = existing or _XMP
        at = packet.rfind(_RDF_END)
        return None if at < 0 else packet[:at] + self._description().encode() + packet[at:]

    def _description(self) -> str:
        properties = {
            "Iptc4xmpExt:DigitalSourceType": SOURCE_TYPE,
            "Iptc4xmpExt:AISystemUsed": self.model or GENERATOR,
            "Iptc4xmpExt:AISystemVersionUsed": self.model_version,
            "xmp:CreatorTool": GENERATOR,
            "xmp:CreateDate": isoformat(self.generated_at),
            "xmp:Identifier": encode(JOB, self.job_id),
        }
        members = [f"<{name}>{escape(_printable(text))}</{name}>" for name, text in properties.items() if text]
        return (
            '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
            ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/">'
            f"{''.join(members)}</rdf:Description>"
        )


def writing_models(usage: Iterable[Mapping[str, Any]]) -> list[str]:
    """The models among settled calls (`core.ledger.service.usage_line`) that wrote text of their own, in order."""
    return [line["model"] for line in usage if line["output_tokens"] and line["model"] not in QUOTING]


def with_notice(reply: str, disclosure: Disclosure) -> str:
    """`reply` with the notice as its last line, if the policy wants one and the reply does not contain it already."""
    if disclosure.notice is False:
        return reply
    notice = disclosure.text or NOTICES[language_of(reply)]
    has_notice = any(known in reply for known in (notice, *NOTICES.values()))
    return reply if has_notice else f"{reply.rstrip()}\n\n{notice}"


def language_of(text: str) -> str:
    """The language of `NOTICES` whose small words are most frequent in `text`; English when none stands out."""
    words = _WORD.findall(text[:_READ_CHARACTERS].lower())
    counts = {language: sum(word in known for word in words) for language, known in _WORDS_OF.items()}
    return max(counts, key=lambda language: (counts[language], language == "en"))


def _printable(text: str) -> str:
    return "".join(character for character in text if character.isprintable())
