"""Postal addresses: a street with its number in its country's order, then the parts that follow, across lines too."""

from collections.abc import Iterator
from pathlib import Path

from core.guard.personal.candidates import Candidate, is_bounded, preceding
from core.guard.personal.places import CITY, FOREIGN_POSTCODE, POSTCODE, SEPARATOR, UNIT, UNIT_BEFORE, US_STATES
from core.guard.records import EntityKind
from core.kit.expressions import Expression

_NUMBER = r"(?:n[o°º]\.? ?)?[0-9]{1,5}(?:[\-/][0-9]{1,4})?[ \-]?[A-Za-z]?"
_WORD = r"[\p{L}][\p{L}0-9'\x{2019}.\-]*"
_WORDS = rf"(?:{_WORD}[ \t]{{1,2}}|[0-9]{{1,3}}(?:st|nd|rd|th)[ \t]){{1,4}}"
_TYPE = (
    r"street|avenue|road|lane|boulevard|drive|court|terrace|crescent|parkway|highway|square|place|grove|gardens|mews"
    r"|trail|turnpike|close|circle|walk|row|hill|view|way|loop|plaza|wharf|broadway|ridge|bend"
    r"|st|ave?|rd|ln|blvd|dr|ct|ter|cres|pkwy|hwy|sq|pl|gdns|cir|trl"
)
_PLAIN_TYPES = frozenset(
    {
        "street",
        "avenue",
        "road",
        "lane",
        "boulevard",
        "terrace",
        "crescent",
        "parkway",
        "highway",
        "ave",
        "rd",
        "blvd",
        "pkwy",
        "hwy",
    }
)
_COMPASS = r"(?:[ \t](?:n|s|e|w|ne|nw|se|sw|north|south|east|west)\b\.?)?"
_ENGLISH = Expression(rf"({_NUMBER})[ \t]{{1,2}}({_WORDS})({_TYPE})\b\.?{_COMPASS}", ignore_case=True)
_ENGLISH_NUMBERED = Expression(
    rf"({_NUMBER})[ \t]()((?:road|route|highway|avenue|state route)) [0-9]{{1,4}}", ignore_case=True
)
_GERMANIC_NUMBER = r"[ \t]{1,2}[0-9]{1,4}(?:[ \-/]{0,2}[0-9A-Za-z]{1,3})?\b"
_GERMANIC = Expression(
    r"[\p{L}\-]+(?:stra(?:ß|ss)e|str\.?|weg|gasse|platz|allee|ring|damm|ufer|chaussee|stieg|straat|laan|gracht|kade"
    rf"|plein|singel|dijk|steenweg|dreef|gata|gade|gatan|vej|vägen|veien|tie|katu|utca){_GERMANIC_NUMBER}",
    ignore_case=True,
)
_GERMANIC_APART = Expression(
    r"\p{Lu}[\p{L}.\-]+(?:[ \t]\p{Lu}[\p{L}.\-]+)?[ \t](?:Stra(?:ß|ss)e|Str\.|Weg|Gasse|Platz|Allee|Ring|Damm|Ufer"
    rf"|Straat|Laan|Steenweg|Plein|u\.|utca|út){_GERMANIC_NUMBER}"
)
_GERMAN_PREPOSITION = Expression(
    r"(?:Am|An der|An den|Auf der|Auf dem|Im|In der|In den|Zum|Zur|Unter den|Vor dem|Hinter dem|Bei der)[ \t]"
    r"(?:\p{Lu}[\p{L}\-]+[ \t]){1,2}[0-9]{1,4} ?[a-z]?\b"
)
_ROMANCE_PARTICLE = (
    r"(?:de la |de las |de los |de l'|du |des |della |del |dei |delle |de |da |do |dos |d'|l'"
    r"|la |le )"
)
_FRENCH = Expression(
    rf"(?:[0-9]{{1,4}}(?: ?(?:bis|ter|[A-D]))?,?[ \t])(?i:rue|avenue|av\.|boulevard|bd\.?|place|chemin|impasse"
    rf"|allée|allee"
    rf"|quai|cours|route|square|passage|faubourg|villa|sentier)[ \t]{_ROMANCE_PARTICLE}?{_WORD}"
    rf"(?:[ \t]{_ROMANCE_PARTICLE}?"
    r"\p{Lu}[\p{L}0-9'\x{2019}.\-]*){0,3}",
)
_ROMANCE = Expression(
    r"(?:calle|c/|avda\.?|avenida|plaza|pza\.?|paseo|camino|carrer|ronda|travesía|via|viale|v\.le|piazza|p\.zza|corso"
    r"|vicolo|largo|rua|travessa|praça|estrada|ul\.|al\.|jalan|jl\.|rue|str\.)[ \t]{0,2}"
    rf"(?:{_WORD}[ \t]{{0,2}}){{1,6}},?[ \t]{{0,2}}(?:n[º°.o]{{0,2}} ?)?[0-9]{{1,4}}(?:[/\-][0-9A-Za-z]{{1,4}}"
    rf"|[A-Za-z])?\b",
    ignore_case=True,
)
_BOX = Expression(
    r"(?:p\.? ?o\.? ?box|postfach|post office box|postbus|apartado(?: de correos)?|casella postale|boîte postale)"
    r"[ \t]{0,2}(?:no\.? )?[0-9]{1,7}",
    ignore_case=True,
)
_EUROPEAN = (
    ("street_de", _GERMANIC),
    ("street_de", _GERMANIC_APART),
    ("street_de", _GERMAN_PREPOSITION),
    ("street_fr", _FRENCH),
    ("street_es", _ROMANCE),
    ("box", _BOX),
)
_MILITARY = Expression(
    r"(?:psc [0-9]{1,5},? box [0-9]{1,5}|unit [0-9]{1,5},? box [0-9]{1,5}|us[a-z]{1,3} [\p{L}'\-]+)[\s,>?]{1,8}"
    r"(?:apo|fpo|dpo),? a[eap] [0-9]{5}(?:-[0-9]{4})?",
    ignore_case=True,
)
# A line that starts with a number: an address only when a unit or a postcode follows.
_NUMBERED_LINE = Expression(
    rf"[0-9]{{1,5}}[a-z]?[ \t]{{1,2}}(?:{_WORD}|[0-9]{{1,4}})(?:[ \t]{{1,2}}(?:{_WORD}|[0-9]{{1,4}})){{0,6}}",
    ignore_case=True,
)
_NAMED_LINE = Expression(rf"\p{{Lu}}{_WORD}(?:[ \t]{{1,2}}(?:{_WORD}|[0-9]{{1,4}})){{0,5}}[ \t][0-9]{{1,4}}[a-zA-Z]?")
_NUMBER_LAST = Expression(r"\p{L}[^0-9]*[ \t][0-9]{1,5}[a-zA-Z]?$")
_TOWN_BEHIND = Expression(r"^,[ \t]{0,2}\p{Lu}\p{L}+")
# Words directly before an address.
_LEAD = Expression(
    r"(?:address(?: is| to|es|es are| was)?|\blives? at|\blive in|located at|office is at|(?:deliver|ship|send"
    r"|return|sent|moved?|taxi"
    r"|mail|one|come) to|arrived at|anschrift|adresse(?: ist| est)?|dirección(?: es)?|indirizzo|adres(?: is)?"
    r"|wohn[et]{0,2} in(?: der)?|habite(?: au)?|woon op|abita in)[ \t]?:?\s{0,3}$",
    ignore_case=True,
)
_CORNER = Expression(
    r"\bcorner of [\p{L}0-9][^,;\n!?]* and [\p{L}0-9][\p{L}0-9 .'\x{2019}\-]*(?:street|avenue|road|ave|st|lane"
    r"|boulevard)\b",
    ignore_case=True,
)
_STREET_ONLY = Expression(
    r"(?:\bon|\bat|\bin|\bfrom|\bto|\balong|\bnear) ((?:\p{Lu}[\p{L}'\x{2019}.\-]+ ){1,3}(?:Street|Avenue|Road"
    r"|Lane|Boulevard))\b"
)
_UNIT_ONLY = Expression(r"\b(?:apt|apartment|suite|ste)\.?[ \t]#?[0-9]{1,5}[a-z]?\b", ignore_case=True)
_POSTCODE_WORD = Expression(
    rf"(?:\bzip(?:[ \-]?code)?|post[ \-]?code|postal(?: code)?|\bplz|postleitzahl|code postal|\bc\.?p\.|\bcap\b"
    rf"|c[óo]digo postal|eircode)"
    rf"[\s:.=#\"']{{0,4}}(?:is|ist|lautet|est|es|is now|changed to)?[\s:]{{0,2}}({FOREIGN_POSTCODE})",
    ignore_case=True,
)
_BRITISH_POSTCODE = Expression(r"\b(?:GIR 0AA|[A-PR-UWYZ][A-HK-Y]?[0-9][0-9A-HJKMNP-Y]? [0-9][ABD-HJLNP-UW-Z]{2})\b")
_CITY_STATE = Expression(
    rf"\b\p{{Lu}}[\p{{L}}.\-]+(?: \p{{Lu}}[\p{{L}}\-]+){{0,2}},? (?:{US_STATES}),? [0-9]{{5}}(?:-[0-9]{{4}})?\b"
)
_ADDRESS_WORD = Expression(
    r"address|adres|anschrift|direcci[óo]n|indirizzo|ship|deliver|live|wohn|habit|abit|woon|located|mail|send"
    r"|moved? to|str\.:",
    ignore_case=True,
)
_NOT_STREET = frozenset(Path(__file__).with_name("not_streets.txt").read_text("utf-8").split())
_NOT_GERMANIC = ("arbeitsplatz", "parkplatz", "stellplatz", "speicherplatz", "umweg", "ausweg", "norweg", "bildring")
_CORNER_LENGTH_MAX = 120
_SMALL_WORDS_MAX = 2  # of a street in small letters, in a text that has capitals
_CITIES_MAX = 3
_COMPONENTS_MAX = 7
_COMPONENT_LENGTH_MAX = 90
_CONTEXT_LENGTH = 40


def find_addresses(text: str) -> Iterator[Candidate]:
    """Addresses in the US, UK, Germany, France, the Netherlands, Belgium, Spain, Italy and of similar form."""
    is_cased = any(map(str.isupper, text)) and any(map(str.islower, text))
    yield from _find_english(text, is_cased)
    yield from _find_european(text, is_cased)
    for match in _MILITARY.matches_in(text):
        yield Candidate(EntityKind.ADDRESS, match.start(), match.end(), 0.9, "military")
    yield from _find_structured(text, is_cased)
    yield from _find_parts(text)


def find_postcodes(text: str) -> Iterator[Candidate]:
    """Postcodes after a word for one, after a city and its state, and in the British form."""
    for match in _POSTCODE_WORD.matches_in(text):
        if is_bounded(text, match.start(1), match.end(1)):
            yield Candidate(EntityKind.POSTCODE, match.start(1), match.end(1), 0.85, "postcode")
    for match in _BRITISH_POSTCODE.matches_in(text):
        if is_bounded(text, match.start(), match.end()):
            yield Candidate(EntityKind.POSTCODE, match.start(), match.end(), 0.55, "postcode")


def _find_english(text: str, is_cased: bool) -> Iterator[Candidate]:
    for expression in (_ENGLISH, _ENGLISH_NUMBERED):
        for match in expression.matches_in(text):
            words = text[match.start(2) : match.end(2)]
            if not is_bounded(text, match.start(), match.end()) or not _is_street(words, is_cased):
                continue
            end, is_anchored = _extended(text, match.end())
            kind = text[match.start(3) : match.end(3)]
            is_likely = _is_named(words) and (kind.lower() in _PLAIN_TYPES or _is_named(kind))
            if is_anchored or is_likely or _ADDRESS_WORD.is_in(preceding(text, match.start(), _CONTEXT_LENGTH)):
                yield _address(text, match.start(), end, 0.9 if is_anchored else 0.8, "street_en")


def _find_european(text: str, is_cased: bool) -> Iterator[Candidate]:
    for name, expression in _EUROPEAN:
        for match in expression.matches_in(text):
            start, core = match.start(), text[match.start() : match.end()]
            if not is_bounded(text, start, match.end()):
                continue
            if core.lower().startswith(_NOT_GERMANIC) or (expression is _ROMANCE and not _is_street(core, is_cased)):
                continue
            end, is_anchored = _extended(text, match.end())
            if is_anchored or expression is not _GERMANIC or core[0].isupper():
                yield _address(text, start, end, 0.9 if is_anchored else 0.75, name)


def _find_structured(text: str, is_cased: bool) -> Iterator[Candidate]:
    """Streets without a word for one, accepted because of what follows them."""
    for expression in (_NUMBERED_LINE, _NAMED_LINE):
        for match in expression.matches_in(text):
            core = text[match.start() : match.end()]
            if not is_bounded(text, match.start(), match.end()):
                continue
            unit = next(iter(_UNIT_ONLY.matches_in(core)), None)
            body = core[: unit.start()] if unit else core
            if not _is_street(body, is_cased) or not any(map(str.isalpha, body)):
                continue
            start = match.start() if expression is _NUMBERED_LINE else _line_start(text, match.start(), match.end())
            end, is_anchored = _extended(text, match.start() + unit.end() if unit else match.end(), strict=not unit)
            is_twice_numbered = expression is _NUMBERED_LINE and _NUMBER_LAST.is_in(core)
            is_led = is_twice_numbered or (is_cased and core[-1].isdigit())
            if is_led and not is_anchored:
                is_led = bool(_LEAD.is_in(preceding(text, start, _CONTEXT_LENGTH))) or (
                    is_twice_numbered
                    and _is_named(body.split(" ", 1)[-1])
                    and bool(_TOWN_BEHIND.is_in(text[end : end + 20]))
                )
                end = _extended(text, end)[0] if is_led else end
            if is_anchored or unit or is_led:
                yield _address(text, start, end, 0.7, "structure")


def _find_parts(text: str) -> Iterator[Candidate]:
    for match in _CORNER.matches_in(text):
        if match.end() - match.start() <= _CORNER_LENGTH_MAX:
            yield Candidate(EntityKind.ADDRESS, match.start(), match.end(), 0.7, "corner")
    for match in _STREET_ONLY.matches_in(text):
        yield Candidate(EntityKind.ADDRESS, match.start(1), match.end(1), 0.5, "street_name")
    for match in _UNIT_ONLY.matches_in(text):
        yield Candidate(EntityKind.ADDRESS, match.start(), match.end(), 0.55, "unit")
    for match in _CITY_STATE.matches_in(text):
        yield Candidate(EntityKind.ADDRESS, match.start(), match.end(), 0.6, "city_state")


def _address(text: str, start: int, end: int, score: float, name: str) -> Candidate:
    """The address with a flat or a house named before its street."""
    before = preceding(text, start, _CONTEXT_LENGTH)
    for match in UNIT_BEFORE.matches_in(before):
        start -= len(before) - match.start()
    return Candidate(EntityKind.ADDRESS, start, end, score, name)


def _is_street(words: str, is_cased: bool) -> bool:
    parts = words.split()
    lowered = [part.strip(".,").lower() for part in parts]
    if any(part in _NOT_STREET for part in lowered[1:]) or (lowered and lowered[0] in _NOT_STREET - {"the"}):
        return False
    return not is_cased or _is_named(words) or len(parts) <= _SMALL_WORDS_MAX


def _is_named(words: str) -> bool:
    return any(part[0].isupper() or part[0].isdigit() for part in words.split())


def _capitalized_end(text: str, start: int, end: int) -> int:
    """The end of the capitalized words at the start of ``text[start:end]``."""
    position = start
    for word in text[start:end].split():
        if not word[0].isupper():
            break
        position = text.index(word, position) + len(word)
    return position - (text[position - 1] == ".")


def _line_start(text: str, start: int, end: int) -> int:
    return max(start, text.rfind("\n", start, end) + 1)


def _extended(text: str, end: int, *, strict: bool = False) -> tuple[int, bool]:
    """The end of the address whose street ends at `end`, and whether a unit or a postcode confirms it.

    `strict`: the next part must be on its own line or after a comma.
    """
    confirmed, position, cities = end, end, 0
    is_anchored = has_postcode = False
    for _ in range(_COMPONENTS_MAX):
        separator = SEPARATOR.match_at_start(text[position : position + 12])
        gap = separator.end() if separator else 0
        if strict and position == end and not any(each in text[position : position + gap] for each in ",\n"):
            break
        rest = text[position + gap : position + gap + _COMPONENT_LENGTH_MAX]
        unit = UNIT.match_at_start(rest)
        postcode = None if has_postcode else POSTCODE.match_at_start(rest)
        if gap and unit:
            position += gap + unit.end()
            confirmed, is_anchored = position, True
        elif gap and postcode and is_bounded(rest, 0, postcode.end()):
            position += gap + postcode.end()
            confirmed, is_anchored, has_postcode = position, True, True
        elif strict and rest[:1].islower() and "\n" not in text[position : position + gap]:
            break
        elif gap and cities < _CITIES_MAX and (city := CITY.match_at_start(rest)):
            is_set_off = any(each in text[position : position + gap] for each in ",\n")
            is_town = rest[0].isupper() and (is_set_off or is_anchored) and not has_postcode
            position += gap + city.end()
            cities += 1
            if is_town and cities <= (2 if is_anchored else 1) and not (strict and not is_anchored):
                confirmed = _capitalized_end(text, position - city.end(), position)
        else:
            break
    return confirmed, is_anchored
