"""PDFs as they come: forms, boxes laid over the page, columns, doubled and turned letters, fonts without a table."""

import io

import pypdf
import pytest
from fpdf import FPDF

from pipelines.knowledge.documents.document import Document, LeftOut
from pipelines.knowledge.documents.errors import UnreadableDocument
from pipelines.knowledge.documents.readers import read

HELVETICA = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def pdf(
    content: bytes,
    *,
    annotations: bytes = b"",
    page: bytes = b"",
    fonts: bytes = HELVETICA,
    resources: bytes = b"/Resources << /Font << /F1 5 0 R >> >>",
    table: bytes = b"",
) -> bytes:
    """A PDF of one page in the font F1. `annotations` are dictionaries, `page` more entries of the page.

    `table` is a stream that a font may name as its table of characters, object 6.
    """
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [] >> >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 600 800] >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R "
        + resources
        + b" /Annots ["
        + annotations
        + b"] "
        + page
        + b" >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content),
        fonts,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(table), table),
    ]
    written, places = b"%PDF-1.7\n", []
    for number, body in enumerate(objects, start=1):
        places.append(b"%010d 00000 n \n" % len(written))
        written += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    cross = b"xref\n0 %d\n0000000000 65535 f \n%s" % (len(objects) + 1, b"".join(places))
    end = b"trailer << /Root 1 0 R /Size %d >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, len(written))
    return written + cross + end


def at(x: int, y: int, text: str, size: int = 11) -> bytes:
    """Text at a place."""
    return f"BT /F1 {size} Tf {x} {y} Td ({text}) Tj ET\n".encode("latin-1")


def widget(x: int, y: int, entries: str) -> bytes:
    """A form field with its lower left corner at a place."""
    return f"<< /Type /Annot /Subtype /Widget /Rect [{x} {y} {x + 100} {y + 14}] {entries} >>".encode()


def document_of(content: bytes, **options: bytes) -> Document:
    return read(pdf(content, **options), name="x.pdf")


def test_values_of_a_form_stand_beside_their_labels() -> None:
    fields = [
        widget(200, 697, "/FT /Tx /T (name) /V (Jana Novotna)"),
        widget(200, 657, "/FT /Ch /T (boat) /V (s) /Opt [[(s) (Sloop)] [(b) (Barge)]]"),
        b"<< /Type /Annot /Subtype /Widget /Rect [50 617 60 627] /FT /Btn /T (a) /AS /Yes >>",
        b"<< /Type /Annot /Subtype /Widget /Rect [50 597 60 607] /FT /Btn /T (b) /AS /Off >>",
        widget(200, 500, "/FT /Tx /T (remarks) /V (Arrived\\nbroken)"),
        widget(200, 400, "/FT /Tx /T (pin) /Ff 8192 /V (1234)"),
        widget(200, 300, "/FT /Tx /F 2 /T (inner) /V (draft 3)"),
        b"<< /Type /Annot /Subtype /Widget /Rect [(a) 1 2 3] /FT /Tx /T (nowhere) /V (5) >>",
    ]
    content = (
        at(50, 700, "Claimant:")
        + at(50, 660, "Boat:")
        + at(70, 620, "Insured")
        + at(70, 600, "Paid")
        + at(50, 520, "End")
    )
    document = document_of(content, annotations=b" ".join(fields))
    lines = [line.replace(" | ", " ") for line in document.text.split("\n") if line]
    assert " ".join(lines) == "Claimant: Jana Novotna Boat: Sloop [x] Insured [ ] Paid End Arrived broken"
    assert document.left_out == (
        LeftOut("form_field", "inner: draft 3", (1,)),
        LeftOut("form_field", "nowhere: 5", (1,)),
    )


def test_a_value_that_the_page_shows_already_stands_once() -> None:
    content = at(50, 700, "Claimant:") + at(202, 700, "Jana Novotna")
    document = document_of(content, annotations=widget(200, 697, "/FT /Tx /T (name) /V (Jana Novotna)"))
    assert document.text.count("Jana Novotna") == 1


def test_text_boxes_laid_over_a_page_are_read_and_remarks_are_named() -> None:
    over = (
        b"<< /Type /Annot /Subtype /FreeText /Rect [50 640 300 660] /Contents (Paid in cash.) >>"
        b"<< /Type /Annot /Subtype /Text /Rect [0 0 9 9] /Contents (Check this.) >>"
    )
    document = document_of(at(50, 700, "The fee is due in May."), annotations=over)
    assert document.text == "The fee is due in May.\n\nPaid in cash."
    assert document.left_out == (LeftOut("comment", "Check this.", (1,)),)


def test_two_columns_are_read_one_after_the_other_and_a_table_row_by_row() -> None:
    left = (
        "Claims for damage must be",
        "filed within seven days of",
        "delivery. Photographs are",
        "needed for each claim.",
    )
    right = ("Refunds are paid within", "fourteen days after the", "claim was accepted by", "the claims department.")
    content = b"".join(
        at(50, 700 - 14 * row, one) + at(320, 700 - 14 * row, other)
        for row, (one, other) in enumerate(zip(left, right, strict=True))
    )
    assert document_of(content).text == f"{' '.join(left)}\n\n{' '.join(right)}"
    rows = (
        ("Name of the boat", "Fee for a night"),
        ("A sloop of ten metres", "12 euro and 50 cent"),
        ("A barge", "40 euro"),
    )
    table = b"".join(at(50, 700 - 14 * row, one) + at(320, 700 - 14 * row, two) for row, (one, two) in enumerate(rows))
    assert document_of(table).text == "\n".join(" | ".join(row) for row in rows)


@pytest.mark.parametrize("offset", [0, 0.3])
def test_letters_drawn_twice_are_read_once(offset: float) -> None:
    once = at(50, 700, "Liability is limited to 800 euros.")
    again = once.replace(b"50 700", f"{50 + offset} 700".encode())
    letters = b"".join(at(50 + 7 * place, 650, letter) * 2 for place, letter in enumerate("twofold"))
    assert document_of(once + again).text == "Liability is limited to 800 euros."
    assert document_of(letters, fonts=HELVETICA.replace(b"Helvetica", b"Courier")).text == "twofold"


def test_double_letters_of_a_word_stay() -> None:
    assert document_of(at(50, 700, "Coffee, all off, committee 1100")).text == "Coffee, all off, committee 1100"


@pytest.mark.parametrize(
    ("turn", "matrix"),
    [(0, "1 0 0 1 50 700"), (90, "0 1 -1 0 300 50"), (180, "-1 0 0 -1 500 700"), (270, "0 -1 1 0 50 700")],
)
def test_turned_pages_are_read_upright(turn: int, matrix: str) -> None:
    content = f"BT /F1 11 Tf {matrix} Tm (The fee is due) Tj 0 -14 Td (in May or June.) Tj ET".encode()
    assert document_of(content, page=f"/Rotate {turn}".encode()).text == "The fee is due in May or June."


def test_invisible_text_over_a_scan_is_read() -> None:
    assert document_of(b"3 Tr " + at(50, 700, "Read by a machine.")).text == "Read by a machine."


def test_a_font_that_does_not_say_its_letters_is_refused_or_named() -> None:
    glyphs = (
        b"<< /Type /Font /Subtype /Type0 /BaseFont /ABCDEF+Odd /Encoding /Identity-H /DescendantFonts [ << /Type /Font "
        b"/Subtype /CIDFontType2 /BaseFont /ABCDEF+Odd /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) "
        b"/Supplement 0 >> /FontDescriptor << /Type /FontDescriptor /FontName /ABCDEF+Odd /Flags 4 >> >> ] >>"
    )
    coded = b"BT /F1 11 Tf 50 700 Td <00370048005B0057000300310052> Tj ET"
    with pytest.raises(UnreadableDocument, match="do not say which letters") as caught:
        read(pdf(coded, fonts=glyphs), name="x.pdf")
    assert caught.value.code == "document_no_text"
    legible = b"/Resources << /Font << /F1 5 0 R /F2 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    document = document_of(b"BT /F2 11 Tf 50 600 Td (Legible.) Tj ET " + coded, fonts=glyphs, resources=legible)
    assert document.text == "Legible."
    assert [(each.what, each.pages) for each in document.left_out] == [("illegible", (1,))]


JAPANESE = (
    b"<< /Type /Font /Subtype /Type0 /BaseFont /Ryumin-Light /Encoding /90ms-RKSJ-H /DescendantFonts [ << /Type "
    b"/Font /Subtype /CIDFontType0 /BaseFont /Ryumin-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1) "
    b"/Supplement 2 >> /FontDescriptor << /Type /FontDescriptor /FontName /Ryumin-Light /Flags 4 >> >> ] >>"
)


def japanese_at(x: int, y: int, text: str) -> bytes:
    return f"BT /F1 11 Tf {x} {y} Td <{text.encode('cp932').hex()}> Tj ET ".encode()


def test_a_predefined_table_of_characters_is_known() -> None:
    text = "港の料金は十二ユーロです"
    assert document_of(japanese_at(50, 700, text), fonts=JAPANESE).text == text


def test_vertical_lines_are_read_from_right_to_left() -> None:
    lines = ["港の料金は十二ユーロです", "一泊ごとに支払う", "期限は五月"]
    drawn = b"".join(japanese_at(500 - 20 * number, 700, line) for number, line in enumerate(lines))
    vertical = JAPANESE.replace(b"RKSJ-H", b"RKSJ-V")
    document = document_of(drawn, fonts=vertical)
    assert document.text.split() == lines
    assert document.left_out == ()
    both = b"/Resources << /Font << /F1 5 0 R /F2 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
    plain = b"".join(b"BT /F2 11 Tf 50 %d Td (Line %d of the page.) Tj ET " % (700 - 14 * at, at) for at in range(4))
    mixed = document_of(drawn + plain, fonts=vertical, resources=both).text
    assert all(line in mixed for line in [*lines, *(f"Line {at} of the page." for at in range(4))])


@pytest.mark.parametrize("method", ["RC4-40", "AES-128"])
def test_a_file_that_only_forbids_printing_is_read(method: str) -> None:
    made = FPDF()
    made.add_page()
    made.set_font("Helvetica")
    made.cell(text="For everyone.")
    writer = pypdf.PdfWriter(clone_from=pypdf.PdfReader(io.BytesIO(bytes(made.output()))))
    writer.encrypt("", "owner", algorithm=method)
    written = io.BytesIO()
    writer.write(written)
    assert read(written.getvalue(), name="x.pdf").text == "For everyone."


def test_two_letters_of_one_glyph_keep_their_order_in_a_script_from_right_to_left() -> None:
    table = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapType 2 def 1 begincodespacerange <00> <FF> "
        b"endcodespacerange 3 beginbfchar <41> <0627> <42> <06440625> <43> <0646> endbfchar endcmap end end"
    )
    arabic = HELVETICA.replace(b">>", b"/ToUnicode 6 0 R >>")
    # Drawn from left to right as it looks: the last letter first.
    assert document_of(at(50, 700, "CBA"), fonts=arabic, table=table).text == "\u0627\u0644\u0625\u0646"


def test_a_file_that_fails_midway_does_not_hold_up_the_next() -> None:
    bad = pdf(at(50, 700, "x"), annotations=b"<< /Subtype /Widget /FT /Tx /Ff /odd /V (a) >>")
    with pytest.raises(UnreadableDocument) as caught:
        read(bad, name="x.pdf")
    assert caught.value.code == "document_corrupt"
    assert document_of(at(50, 700, "The next.")).text == "The next."
