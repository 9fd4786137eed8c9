"""What an embedded font's own table says, and what is no text at all."""

import struct

import pytest

from pipelines.knowledge.documents.font_tables import characters_of
from pipelines.knowledge.documents.pdf_legibility import illegible_fonts


def font(subtable: bytes) -> bytes:
    """A font with nothing but a table of the characters of Unicode."""
    table = struct.pack(">HHHHI", 0, 1, 3, 10, 12) + subtable
    return struct.pack(">IHHHH", 0x00010000, 1, 0, 0, 0) + struct.pack(">4sIII", b"cmap", 0, 28, len(table)) + table


# Glyphs 5 and 6 are "P" and "Q", glyph 9 is "é".
SEGMENTS = struct.pack(
    ">HHHHHHH 3H H 3H 3H 3H",
    4, 0, 0, 6, 0, 0, 0,
    ord("Q"), ord("é"), 0xFFFF,
    0,
    ord("P"), ord("é"), 0xFFFF,
    (5 - ord("P")) & 0xFFFF, (9 - ord("é")) & 0xFFFF, 1,
    0, 0, 0,
)  # fmt: skip
GROUPS = struct.pack(">HHIII IIIIII", 12, 0, 0, 0, 2, ord("P"), ord("Q"), 5, ord("é"), ord("é"), 9)


@pytest.mark.parametrize("table", [SEGMENTS, GROUPS])
def test_a_font_says_what_its_glyphs_are(table: bytes) -> None:
    known = characters_of(font(table))
    assert {glyph: chr(character) for glyph, character in known.items()} == {5: "P", 6: "Q", 9: "é"}


def test_a_damaged_font_says_nothing_and_a_hostile_one_little() -> None:
    assert characters_of(b"") == {}
    assert characters_of(font(SEGMENTS)[:-20]) == {}
    huge = struct.pack(">HHIII", 12, 0, 0, 0, 9) + struct.pack(">III", 0, 0xFFFFFFFF, 1) * 9
    assert len(characters_of(font(huge))) <= 70_000


@pytest.mark.parametrize(
    ("text", "unknown", "guessed"),
    [
        ("\ufffd\ufffd a", 2, 0),
        ("3HQ\ufffdåQt\ufffdSURVW", 2, 10),
        ("\ue001\ue002\ue003", 0, 0),
        ("aбγd אbгδ eжζh", 0, 0),  # noqa: RUF001 - the letters of many scripts
        (" ".join(["xkcd", "qwrt", "bdfg"] * 12), 0, 0),
    ],
)
def test_what_is_no_text_is_illegible(text: str, unknown: int, guessed: int) -> None:
    assert illegible_fonts([(1, text, unknown, guessed)]) == {1}


@pytest.mark.parametrize(
    "text",
    [
        "The fee is twelve euro.",
        "みんなのカタカナと漢字とABC",
        "Сборы за ночь",
        "\uf0b7",
        "κ = 0.5 μm",
        "DKK 4711 RSTB-44",
        "رسوم الميناء",
        "",
    ],
)
def test_text_of_any_language_is_legible(text: str) -> None:
    assert illegible_fonts([(1, text, 0, 0), (1, "Booked", 0, 6)]) == set()
