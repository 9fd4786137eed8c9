"""Numbers of payment cards and bank accounts."""

from collections.abc import Iterator

from core.guard.personal.candidates import Candidate, is_bounded, preceding
from core.guard.records import EntityKind
from core.kit.expressions import Expression

_DIGITS = Expression(r"[0-9](?:[ \-]{0,2}[0-9]){11,18}")
_CARD_WORD = Expression(
    r"card|visa|master|amex|american express|diners|discover|jcb|maestro|unionpay|\bcc\b|\bpan\b|karte|\bcarte|kaart"
    r"|tarjeta|carta di|cart[ãa]o",
    ignore_case=True,
)
_OTHER_NUMBER = Expression(
    r"(?:order|invoice|tracking|ean|gtin|isbn|sku|article|item|serial|imei|ticket|reference|ref|bestellung|auftrag"
    r"|rechnung|artikel|commande|facture|pedido|factura|ordine|fattura|bestelling|factuur)"
    r"(?:\s?(?:number|no|nr|num|id|code|nummer))?[\s.:#]{0,3}$",
    ignore_case=True,
)
_IBAN = Expression(r"[A-Za-z]{2}[0-9]{2}(?:[ \-]?[0-9A-Za-z]){11,34}")
_IBAN_WORD = Expression(r"iban|konto|account|compte|cuenta|rekening|conto", ignore_case=True)
_CONTEXT_LENGTH = 40
# First digits and lengths by network: ISO/IEC 7812 and the networks' own pages. Others need a word for a card.
_NETWORKS = (
    (("4",), (16, 19)),
    (tuple(map(str, [*range(51, 56), *range(2221, 2721)])), (16,)),
    (("34", "37"), (15,)),
    (("6011", "65", *map(str, range(644, 650))), (16, 19)),
    (("35",), (16,)),
    (("36", "38", "39", *map(str, range(300, 306))), (14,)),
    (("50", "56", "57", "58", "6759", "6761", "6762", "6763", "6304"), (16, 18, 19)),
    (("62",), (16, 17, 18, 19)),
)
# Characters of an IBAN by country: SWIFT's registry, release 99.
_IBAN_LENGTHS = {
    country: int(length)
    for length, countries in (
        part.split(":")
        for part in [
            "15:NO",
            "16:BE",
            "18:DK,FI,FO,GL,NL,SD,FK",
            "19:MK,SI",
            "20:AT,BA,EE,KZ,LT,LU,MN,XK",
            "21:CH,HR,LI,LV",
            "22:BG,BH,CR,DE,GB,GE,IE,ME,RS,VA",
            "23:AE,GI,IL,IQ,OM,TL,SO",
            "24:AD,CZ,DZ,ES,MD,PK,RO,SA,SE,SK,TN,VG",
            "25:LY,PT,ST",
            "26:IS,TR",
            "27:BI,DJ,FR,GR,IT,MC,MR,SM",
            "28:AL,AZ,BY,CY,DO,GT,HN,HU,LB,NI,PL,SV",
            "29:BR,EG,PS,QA,UA",
            "30:JO,KW,MU,YE",
            "31:MT,SC",
            "32:LC",
            "33:RU",
        ]
    )
    for country in countries.split(",")
}


def find_cards(text: str) -> Iterator[Candidate]:
    """Numbers of 12 to 19 digits with a correct check digit (Luhn), in a network's form or after a word for a card."""
    from stdnum import luhn

    for match in _DIGITS.matches_in(text):
        start, end = match.start(), match.end()
        digits = "".join(filter(str.isdigit, text[start:end]))
        if not is_bounded(text, start, end) or len(set(digits)) == 1 or not luhn.is_valid(digits):
            continue
        before = preceding(text, start, _CONTEXT_LENGTH)
        is_named = _CARD_WORD.is_in(before)
        if not is_named and _OTHER_NUMBER.is_in(before):
            continue
        if is_named or any(digits.startswith(heads) and len(digits) in lengths for heads, lengths in _NETWORKS):
            yield Candidate(EntityKind.CARD, start, end, 0.95 if is_named else 0.85, "card", checked=True)


def find_ibans(text: str) -> Iterator[Candidate]:
    """IBANs, checked modulo 97 (ISO 13616); after the word also those with one wrong digit."""
    for match in _IBAN.matches_in(text):
        start = match.start()
        length = _IBAN_LENGTHS.get(text[start : start + 2].upper(), 0)
        end, characters = start, ""
        while len(characters) < length and end < match.end():
            characters += text[end] if text[end].isalnum() else ""
            end += 1
        if not length or len(characters) < length or not is_bounded(text, start, end):
            continue
        rearranged = characters[4:] + characters[:4]
        if int("".join(str(int(each, 36)) for each in rearranged)) % 97 == 1:
            yield Candidate(EntityKind.IBAN, start, end, 1.0, "iban", checked=True)
        elif _IBAN_WORD.is_in(preceding(text, start, _CONTEXT_LENGTH)):
            yield Candidate(EntityKind.IBAN, start, end, 0.7, "iban")
