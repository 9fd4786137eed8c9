"""One corpus of identifiers: a recognizer that knows it, a picture and a recording of it, and what of it leaked."""

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from core.guard.policy import GuardPolicy, Rule
from core.guard.records import Action, EntityKind, Finding, RedactionMode

IDENTIFIERS = {
    EntityKind.PERSON: "Zoë Müller",
    EntityKind.PHONE: "+49 30 1234567",
    EntityKind.EMAIL: "zoe.mueller@example.org",
    EntityKind.CARD: "4111 1111 1111 1111",
    EntityKind.IBAN: "DE89 3704 0044 0532 0130 00",
    EntityKind.ADDRESS: "Königsallee 12, Düsseldorf",
    EntityKind.SECRET: "sk-Q7wE9rT5yU3iO1pA8sD6",
}
LETTER = "; ".join(f"{kind} {value}" for kind, value in IDENTIFIERS.items())
# What the recording says, among other things.
RECORDING = Path(__file__).parents[1] / "evals" / "multimodal" / "clips" / "train.ogg"
SPOKEN = "London"
_KNOWN = {**IDENTIFIERS, EntityKind.LOCATION: SPOKEN}
POLICY = GuardPolicy(
    rules=(
        Rule(kinds=(EntityKind.SECRET,), action=Action.REDACT, mode=RedactionMode.MASK),
        Rule(kinds=tuple(set(_KNOWN) - {EntityKind.SECRET}), action=Action.REDACT),
        Rule(action=Action.OFF),
    )
)
_ESCAPED = re.compile(r"\\+u([0-9a-fA-F]{4})")


class Listed:
    """Finds the corpus, however its letters are accented, cased and spaced."""

    def __init__(self) -> None:
        self._known = {
            kind: re.compile(r"\s+".join(map(re.escape, _folded(value).split())), re.IGNORECASE)
            for kind, value in _KNOWN.items()
        }

    def find(self, texts: Sequence[str], kinds: frozenset[str] | None = None) -> list[list[Finding]]:  # noqa: ARG002
        """See `core.guard.detection.PersonalData`."""
        return [
            [
                Finding(kind, *match.span(), 0.95, "listed")
                for kind, expression in self._known.items()
                for match in expression.finditer(_folded(text))
            ]
            for text in texts
        ]


def leaked(*shown: str) -> list[str]:
    """The identifiers that what was shown holds, in whatever case, spacing, accents or escapes of JSON."""
    plain = _plain("\n".join(shown))
    return [value for value in _KNOWN.values() if _plain(value) in plain]


def draw(path: Path) -> None:
    """A picture of the corpus in print, a line each."""
    # Analyzers import this module, and draw nothing.
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (1400, 100 + 90 * len(IDENTIFIERS)), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(size=40)
    for number, (kind, value) in enumerate(IDENTIFIERS.items()):
        pen.text((40, 40 + 90 * number), f"{kind} {value}", font=font, fill="black")
    image.save(path)


def _plain(text: str) -> str:
    written = _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text)
    return "".join(letter for letter in _folded(written).casefold() if letter.isalnum())


def _folded(text: str) -> str:
    """Without accents, and as long as before."""
    return "".join(unicodedata.normalize("NFKD", letter)[0] for letter in text)
