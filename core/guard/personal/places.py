"""The parts of an address after its street: flats, cities, states and postcodes."""

from core.kit.expressions import Expression

US_STATES = (
    "AL|AK|AZ|AR|CA|CO|CT|DE|DC|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MD|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR"
    "|PA|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|PR"
)
# After a word for a postcode; "D02 X285" is Irish, "1016 GV" Dutch, "00-590" Polish, "1100-053" Portuguese.
FOREIGN_POSTCODE = (
    r"[A-Z]{1,2}[0-9][0-9A-Z]? ?[0-9][A-Z]{2}|[A-Z][0-9]{2} ?[0-9A-Z]{4}|[A-Z][0-9][A-Z] ?[0-9][A-Z][0-9]"
    r"|[0-9]{4} ?[A-Z]{2}\b|[0-9]{5}-[0-9]{3,4}|[0-9]{4}-[0-9]{3}|[0-9]{2}-[0-9]{3}|[0-9]{3} [0-9]{2}|[0-9]{4,6}"
)
# Between two parts: a comma, a new line, and the marks of quoted or badly decoded lines.
SEPARATOR = Expression(r"^[ \t]{0,3}[,;]?[ \t]{0,3}(?:\n[>?|\t ]{0,6}){0,2}(?:,[ \t]{0,2}\n?[ \t]{0,2})?")
UNIT = Expression(
    r"^(?:(?:apt|apartment|suite|ste|unit|flat|floor|fl|room|rm|bldg|building|b[âa]t(?:iment)?|appt|étage|esc"
    r"|piso|planta"
    r"|scala|interno|int|wohnung|whg|etage|bus|box|office)\.?[ \t]{0,2}#?[0-9A-Z\-]{1,6}\b|#[ \t]?[0-9]{1,5}[A-Z]?\b"
    r"|[0-9]{1,2}[º°ª][ \t]?(?:izq|dcha|dto|[A-Z])?\b\.?)",
    ignore_case=True,
)
UNIT_BEFORE = Expression(
    r"(?:\b(?:apt|apartment|suite|ste|unit|flat|room|floor)\.?[ \t]{0,2}#?[0-9A-Z\-]{1,5}[ \t]?,?[ \t]?\n?"
    r"(?:[0-9]{1,4}[ \t])?"
    r"|\b[0-9]{1,4}[a-z]?[ \t]"
    r"|the \p{L}+(?: \p{L}+)?[ \t]{0,2}(?:,[ \t]?\n?|\n))$",
    ignore_case=True,
)
_CAPITALIZED = r"\p{Lu}[\p{L}'\x{2019}.\-]+"
_TOWN = (
    rf"(?:[ \t]{{1,2}}{_CAPITALIZED}(?:[ \t\-](?:(?:am|an der|en|sur|aan|de|del|la) )?{_CAPITALIZED}){{0,2}}"
    rf"(?:[ \t]\(?[A-Z]{{2}}\)?\b)?)?"
)
POSTCODE = Expression(
    rf"^(?:"
    # after a state or a province, or on its own in the forms that no other number has
    rf"(?:[A-Za-z]{{2,3}}\.?,?[ \t]{{1,2}})?[0-9]{{5}}(?:-[0-9]{{4}})?\b{_TOWN}"
    rf"|[A-Z]{{2,3}}[ \t][0-9]{{4}}\b"
    rf"|(?:[A-Z]{{1,2}}-)?[0-9]{{4}}(?:[ \t]?[A-Z]{{2}})?\b{_TOWN}"
    rf"|[0-9]{{2}}-[0-9]{{3}}\b{_TOWN}|[0-9]{{4}}-[0-9]{{3}}\b{_TOWN}|[0-9]{{3}}[ \t][0-9]{{2}}\b{_TOWN}"
    rf"|[0-9]{{6}}\b{_TOWN}"
    r"|(?i:[A-Z]{1,2}[0-9][0-9A-Z]?[ \t]{1,2}[0-9][A-Z]{2}\b)|[A-Z][0-9][A-Z][ \t]?[0-9][A-Z][0-9]\b"
    r"|[A-Z][0-9]{2}[ \t][0-9A-Z]{4}\b"
    r")"
)
CITY = Expression(r"^\p{L}[\p{L}'\x{2019}.\-]+(?:[ \t]{1,2}\p{L}[\p{L}'\x{2019}.\-]*\b){0,3}")
