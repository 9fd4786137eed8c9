"""Files that were once read wrong or not at all, and the text that stands in each."""

from pathlib import Path

import pytest

from pipelines.knowledge.documents.errors import UnreadableDocument
from pipelines.knowledge.documents.readers import read

FOLDER = Path(__file__).parent / "small_files"

TEXTS = {
    "cp1251.txt": "Посылка хранится семь дней бесплатно. Потом два евро в день.",
    "equation.docx": "The surcharge is 0.5 x w + 3 euros.",
    "fake_bold.pdf": "Liability is limited to 800 euros per parcel.\n\nSecond paragraph drawn once only.",
    "footnote.docx": "Liability is limited to 800 euros.\n\nExcept for express parcels, where the limit is 2000 euros.",
    "form_filled.pdf": "Claim form. Name of claimant: | Jana Novotna\nAmount claimed: | 1250.40 EUR\n"
    "Reason for the claim: | Crate arrived crushed",
    "gb_nometa.html": "包裹损坏索赔必须在七天内提出，最高赔偿八百欧元。",  # noqa: RUF001 - its own comma
    "gbk.txt": "包裹损坏索赔必须在七天内提出，最高赔偿八百欧元。",  # noqa: RUF001
    "header.docx": "Body.\n\nValid from 1 May 2026. Internal.",
    "macro.docm": "Macro document body text.",
    "mail.eml": "From: a@example.org\nTo: b@example.org\nSubject: Größe\n\nDie Gebühr beträgt 12 Euro.",
    "mixed_table.html": "Zone | Price Day | Price Night\nA | 4 | 9",
    "nested.html": "deep text here",
    "sjis.txt": "荷物の損害賠償は七日以内に申請してください。",
    "table.csv": "zone | price\nA | 4,50\nB | 6,20",
    "template.dotx": "Template body text.",
    "textbox.docx": "Call us any time.\n\nBoxed: emergency line 555-0100.",
    "two_col.pdf": "Claims for damage must be filed within seven days of delivery. Photographs are needed for each"
    " claim.\n\nRefunds are paid within fourteen days after the claim was accepted by the claims department.",
    "two_invoices.pdf": "Goods were delivered to the depot in good order, see note 4711. Payment is due within thirty"
    " days of the date of this letter.\n\nAmount due: 120.00 EUR\n\nGoods were delivered to the depot in good order,"
    " see note 4712. Payment is due within thirty days of the date of this letter.\n\nAmount due: 2350.00 EUR",
}
HOSTILE = {"comments.md", "hash-line.pdf"}


def text_of(name: str) -> str:
    return read((FOLDER / name).read_bytes(), name=name).text


def test_every_file_has_a_right_value() -> None:
    assert {path.name for path in FOLDER.iterdir()} == TEXTS.keys() | HOSTILE


@pytest.mark.parametrize("name", TEXTS)
def test_nothing_is_lost_doubled_or_garbled(name: str) -> None:
    assert text_of(name) == TEXTS[name]


def test_what_once_took_for_ever_ends() -> None:
    assert text_of("hash-line.pdf").startswith("total ####")
    with pytest.raises(UnreadableDocument, match="no text"):
        text_of("comments.md")
