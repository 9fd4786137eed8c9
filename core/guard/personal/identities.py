"""Numbers issued by states: for persons, drivers and travelers, and for value-added tax."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import cast

from core.guard.personal.candidates import Candidate, is_bounded, preceding
from core.guard.records import EntityKind
from core.kit.expressions import Expression

_CONTEXT_LENGTH = 45


@dataclass(frozen=True, slots=True)
class _Number:
    """A form; `module` of stdnum checks it. `unnamed` is its score when none of its `words` precedes it."""

    kind: EntityKind
    form: Expression
    module: str
    words: Expression
    unnamed: float = 0.0


def _number(form: str, module: str, words: str, unnamed: float = 0.0) -> _Number:
    expressions = Expression(form, ignore_case=True), Expression(words, ignore_case=True)
    return _Number(EntityKind.NATIONAL_ID, expressions[0], module, expressions[1], unnamed)


def _vat(form: str, module: str, unnamed: float = 0.6) -> _Number:
    return _Number(EntityKind.TAX_ID, Expression(form, ignore_case=True), module, _VAT_WORDS, unnamed)


_VAT_WORDS = Expression(
    r"\bvat\b|u\.?st\.?-?id|mwst|\btva\b|\bbtw\b|\biva\b|\bnif\b|\bcif\b|p\.? ?iva|moms|\buid\b"
    r"|ondernemingsnummer|\btax"
    r"|\bein\b|num[ée]ro d.entreprise|\bnip\b|steuernummer",
    ignore_case=True,
)
_PERSONAL_WORDS = r"tax id|\btin\b|national id|identity (?:number|card)|identification number|\bid (?:no|number)"
_NUMBERS = (
    _number(r"[0-9]{3}[\- ]?[0-9]{2}[\- ]?[0-9]{4}", "us.ssn", r"\bssn\b|social security|\bsoc\b"),
    _number(r"9[0-9]{2}[\- ][0-9]{2}[\- ][0-9]{4}", "us.itin", r"\bitin\b|tax"),
    _number(r"[0-9]{3}[\- ]?[0-9]{3}[\- ]?[0-9]{4}", "gb.nhs", r"\bnhs\b"),
    _number(r"[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}", "de.idnr", r"steuer|\bidnr|\btin\b|tax id"),
    _number(
        r"[12](?:[ .]?[0-9]){4}[ .]?[0-9][0-9AB](?:[ .]?[0-9]){8}", "fr.nir", r"s[ée]curit[ée] sociale|\bnir\b", 0.9
    ),
    _number(r"[0-9]{8}[\- ]?[A-Z]", "es.dni", r"\bdni\b|\bnif\b|documento", 0.8),
    _number(r"[XYZ]-?[0-9]{7}-?[A-Z]", "es.nie", r"\bnie\b|extranjer", 0.85),
    _number(r"[A-Z]{6}[0-9]{2}[A-Z][0-9]{2}[A-Z][0-9]{3}[A-Z]", "it.codicefiscale", r"codice fiscale|\bc\.?f\b", 0.9),
    _number(r"[0-9]{4}[. ]?[0-9]{2}[. ]?[0-9]{3}", "nl.bsn", r"\bbsn\b|burgerservice|sofi"),
    _number(
        r"[0-9]{2}[. ]?[0-9]{2}[. ]?[0-9]{2}[\- ]?[0-9]{3}[. \-]?[0-9]{2}",
        "be.nn",
        r"rijksregister|registre national|\bniss\b",
    ),
    _number(r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}[. \-][0-9]{2}", "be.nn", r"rijksregister|registre national", 0.9),
    _number(r"[0-9]{11}", "pl.pesel", r"pesel"),
    _number(r"(?:[0-9]{2})?[0-9]{6}[\-+][0-9]{4}", "se.personnummer", r"personn", 0.7),
    _number(r"[0-9]{6}-?[0-9]{4}", "dk.cpr", r"\bcpr"),
    _number(r"[0-9]{6}[+\-A][0-9]{3}[0-9A-Z]", "fi.hetu", r"hetu|henkil", 0.7),
    _number(r"[0-9]{6} ?[0-9]{5}", "no.fodselsnummer", r"f[øo]dsel|personnummer"),
    _number(r"756\.?[0-9]{4}\.?[0-9]{4}\.?[0-9]{2}", "ch.ssn", r"\bahv|\bavs\b", 0.9),
    _number(r"[0-9]{4} ?[0-9]{6}", "at.vnr", r"sozialversicherung|\bsvnr"),
    _number(r"[0-9]{9}", "pt.nif", r"\bnif\b|contribuinte"),
    _number(r"[0-9]{7}[A-W][ABHWTX]?", "ie.pps", r"\bpps"),
    _number(r"[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}-?[0-9]{2}", "br.cpf", r"\bcpf\b"),
    _number(r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", "br.cpf", r"\bcpf\b", 0.9),
    _number(r"[0-9]{4} ?[0-9]{4} ?[0-9]{4}", "in_.aadhaar", r"aadhaar|\buid"),
    _number(r"[0-9]{3}[ \-]?[0-9]{3}[ \-]?[0-9]{3}", "ca.sin", r"\bsin\b|social insurance"),
    _number(r"[0-9]{3} ?[0-9]{3} ?[0-9]{3}", "au.tfn", r"\btfn\b|tax file"),
    _number(r"[0-9]{13}", "za.idnr", r"\bid (?:no|number)|identity"),
    _vat(r"DE[ \-]?[0-9]{3} ?[0-9]{3} ?[0-9]{3}", "de.vat"),
    _vat(r"GB[ \-]?[0-9]{3} ?[0-9]{4} ?[0-9]{2}", "gb.vat"),
    _vat(r"FR[ \-]?[0-9A-Z]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}", "fr.tva"),
    _vat(r"NL[ \-]?[0-9]{9}[. ]?B[0-9]{2}", "nl.btw"),
    _vat(r"BE[ \-]?[01][0-9]{3}[. ]?[0-9]{3}[. ]?[0-9]{3}", "be.vat"),
    _vat(r"[01][0-9]{3}\.[0-9]{3}\.[0-9]{3}", "be.vat", 0),
    _vat(r"ES[ \-]?[0-9A-Z][0-9]{7}[0-9A-Z]", "es.nif"),
    _vat(r"[ABCDEFGHJNPQRSUVW]-?[0-9]{7}[0-9A-J]", "es.cif", 0),
    _vat(r"(?:IT[ \-]?)?[0-9]{11}", "it.iva", 0),
    _vat(r"ATU[0-9]{8}", "at.uid"),
    _vat(r"CHE-?[0-9]{3}\.?[0-9]{3}\.?[0-9]{3}", "ch.uid", 0.8),
    _vat(r"PL[ \-]?[0-9]{10}", "pl.nip"),
    _vat(r"PT[ \-]?[0-9]{9}", "pt.nif"),
    _vat(r"IE[ \-]?[0-9][0-9A-Z*+][0-9]{5}[A-Z]{1,2}", "ie.vat"),
    _vat(r"SE[ \-]?[0-9]{10}01", "se.vat"),
    _vat(r"DK[ \-]?[0-9]{8}", "dk.cvr"),
    _vat(r"[0-9]{2}-[0-9]{7}", "us.ein", 0),
)
# Forms without a check digit: after a word only, or where the form is unmistakable.
_SOCIAL_SECURITY = Expression(r"[0-8][0-9]{2}-[0-9]{2}-[0-9]{4}")
_SOCIAL_SECURITY_WORDS = Expression(r"\bssn\b|social security", ignore_case=True)
_INSURANCE = Expression(r"[A-Z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[A-D]")
_INSURANCE_WORDS = Expression(r"national insurance|\bnino\b|\bni (?:no|number)", ignore_case=True)
_DOCUMENT = Expression(r"[A-Z]{0,3}[0-9][0-9A-Z\-]{4,18}", ignore_case=True)
_DOCUMENT_WORDS = Expression(
    r"(?:passport|driver.?s? licen[cs]e|driving licen[cs]e|reisepass|personalausweis|ausweis|f[üu]hrerschein"
    r"|passeport"
    rf"|permis de conduire|paspoort|rijbewijs|pasaporte|passaporto|carta d.identit|{_PERSONAL_WORDS})"
    r"[\s\-]{0,2}(?:number|no|nr|num|nummer|numéro|n°)?\.?(?:\s?(?:is|lautet|est|es|:|#|=))?\s{0,3}$",
    ignore_case=True,
)
_DOCUMENT_DIGITS_MIN = 5
_COUNTRY_LENGTH = 2


def find_identities(text: str) -> Iterator[Candidate]:
    """National ids and value-added tax numbers of two dozen countries, by form, check digits and words."""
    for number in _NUMBERS:
        for match in number.form.matches_in(text):
            start, end = match.start(), match.end()
            if not is_bounded(text, start, end):
                continue
            is_named = number.words.is_in(preceding(text, start, _CONTEXT_LENGTH))
            score = 0.95 if is_named else number.unnamed
            if score > 0 and _is_valid(number.module, text[start:end]):
                yield Candidate(number.kind, start, end, score, number.module, checked=True)
    yield from _find_unchecked(text)


def _find_unchecked(text: str) -> Iterator[Candidate]:
    kind = EntityKind.NATIONAL_ID
    for match in _SOCIAL_SECURITY.matches_in(text):
        start, end = match.start(), match.end()
        if is_bounded(text, start, end) and text[start : start + 3] not in {"000", "666"}:
            is_named = _SOCIAL_SECURITY_WORDS.is_in(preceding(text, start, _CONTEXT_LENGTH))
            yield Candidate(kind, start, end, 0.9 if is_named else 0.7, "us.ssn")
    for match in _INSURANCE.matches_in(text):
        start, end = match.start(), match.end()
        if is_bounded(text, start, end):
            is_named = _INSURANCE_WORDS.is_in(preceding(text, start, _CONTEXT_LENGTH))
            is_issued = text[start] not in "DFIQUV" and text[start + 1] not in "DFIOQUV"
            if is_named or is_issued:
                yield Candidate(kind, start, end, 0.9 if is_named else 0.6, "gb.nino")
    for match in _DOCUMENT.matches_in(text):
        start, end = match.start(), match.end()
        if sum(map(str.isdigit, text[start:end])) < _DOCUMENT_DIGITS_MIN or not is_bounded(text, start, end):
            continue
        if _DOCUMENT_WORDS.is_in(preceding(text, start, _CONTEXT_LENGTH)):
            yield Candidate(kind, start, end, 0.7, "document")


@cache
def _check_of(module: str) -> Callable[[str], bool]:
    return cast("Callable[[str], bool]", import_module(f"stdnum.{module}").is_valid)


def _is_valid(module: str, value: str) -> bool:
    return _check_of(module)(value)
