"""Characters of Word's symbol fonts (``w:sym``), which use private code points."""

_PRIVATE = 0xF000
_FIRST = 0x21
# Adobe's Symbol encoding from 0x21 on, as far as it has letters and operators; a space where it has none.
_SYMBOL = (
    "!∀#∃%&∋()∗+,−./0123456789:;<=>?≅ΑΒΧΔΕΦΓΗΙϑΚΛΜΝΟΠΘΡΣΤΥςΩΞΨΖ[∴]⊥_‾αβχδεφγηιϕκλμνοπθρστυϖωξψζ{|}∼"  # noqa: RUF001 - they are meant
    + " " * 33
    + "€ϒ′≤⁄∞ƒ♣♦♥♠↔←↑→↓°±″≥×∝∂•÷≠≡≈…⏐⎯↵ℵℑℜ℘⊗⊕∅∩∪⊃⊇⊄⊂⊆∈∉∠∇®©™∏√⋅¬∧∨⇔⇐⇑⇒⇓◊〈®©™∑"  # noqa: RUF001 - they are meant
)
_WINGDINGS = {
    0x6C: "●", 0x6E: "■", 0x6F: "□", 0x71: "❑", 0x76: "❖", 0x9F: "•", 0xA7: "▪", 0xA8: "☐", 0xD8: "➢", 0xDF: "←",
    0xE0: "→", 0xE8: "➔", 0xF0: "⇨", 0xFB: "✗", 0xFC: "✓", 0xFD: "☒", 0xFE: "☑",
}  # fmt: skip


def symbol(font: str, code: str) -> str | None:
    """The character of a font at a hexadecimal `code`; None where it is unknown."""
    try:
        number = int(code, 16)
    except ValueError:
        return None
    place = number - _PRIVATE if number >= _PRIVATE else number
    if font.casefold() == "symbol":
        found = _SYMBOL[place - _FIRST] if 0 <= place - _FIRST < len(_SYMBOL) else " "
        return found if found != " " else None
    if font.casefold().startswith("wingdings"):
        return _WINGDINGS.get(place)
    return chr(number) if _FIRST <= number < 0xD800 else None  # noqa: PLR2004 - surrogates begin there
