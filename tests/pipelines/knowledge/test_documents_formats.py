"""Each format keeps what its reader would see: text, headings, lists, tables, pages."""

import io

import docx
import pytest
from docx.enum.text import WD_BREAK
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from fpdf import FPDF

from pipelines.knowledge.documents.document import Document, LeftOut
from pipelines.knowledge.documents.readers import read


def sections(document: Document) -> list[tuple[str, str]]:
    return [
        (" > ".join(section.path), document.text[section.start : section.end].strip())
        for section in document.sections
        if document.text[section.start : section.end].strip()
    ]


MARKDOWN = """---
title: "Harbour rules"
tags: [a]
---
Before any heading.

# Harbour rules

Boats are *moored* at the `north` quay,
never at the [south](https://example.org) one. ![A chart](chart.png)

## Fees

| Boat | Fee |
|------|----:|
| Sloop | 12.50 |
| Barge | 40.00 |

1. Pay first.
2. Then moor.
   - with two lines
   - and a fender

```
curl http://harbour
  --silent
```

<div>Opening hours <b>vary</b>.</div><!-- nobody sees this -->

Tides
-----

> High water is announced.
"""


def test_markdown() -> None:
    document = read(MARKDOWN.encode(), name="rules.md")
    assert document.title == "Harbour rules"
    assert sections(document) == [
        ("Harbour rules", "Before any heading."),
        ("Harbour rules", "Boats are moored at the north quay, never at the south one. A chart"),
        (
            "Harbour rules > Fees",
            (
                "Boat | Fee\nSloop | 12.50\nBarge | 40.00\n\n1. Pay first.\n2. Then moor.\n  - with two lines\n"
                "  - and a fender\n\ncurl http://harbour\n  --silent\n\nOpening hours vary ."
            ),
        ),
        ("Harbour rules > Tides", "High water is announced."),
    ]
    assert document.pages == ()
    assert document.page_count is None


HTML = """<!doctype html><html><head><title>Fees - Harbour office</title><script>track()</script></head><body>
<nav><a href="/">Home</a> <a href="/fees">Fees</a></nav>
<main><h1>Fees</h1>
<p>All boats that are moored for longer than three hours pay a fee at the office near the north quay,
or in the evening at the machine.</p>
<h2>Table of fees</h2>
<table><tr><th>Boat</th><th>Fee</th></tr><tr><td>Sloop</td><td>12.50</td></tr><tr><td>Barge</td><td>40.00</td></tr></table>
<h2>How to pay</h2>
<ol><li>Go to the office and show the papers of the boat.</li><li>Pay in cash or by card.</li></ol>
<p>Whoever does not pay within a day is towed away, and pays for that too.</p></main>
<footer>Harbour office, all rights reserved</footer></body></html>"""


def test_html_keeps_the_content_and_drops_the_navigation() -> None:
    document = read(HTML.encode(), name="fees.html", content_type="text/html; charset=utf-8")
    assert document.title == "Fees"
    assert sections(document)[1:] == [
        ("Fees > Table of fees", "Boat | Fee\nSloop | 12.50\nBarge | 40.00"),
        (
            "Fees > How to pay",
            (
                "1. Go to the office and show the papers of the boat.\n2. Pay in cash or by card.\n\n"
                "Whoever does not pay within a day is towed away, and pays for that too."
            ),
        ),
    ]
    assert "Home" not in document.text
    assert "track" not in document.text


def test_a_page_too_short_for_extraction_is_taken_whole() -> None:
    document = read(
        b"<html><title>Note</title><body><p>Closed on Monday.</p><script>x=1</script></body></html>", name="n"
    )
    assert document.text == "Closed on Monday."
    assert document.title == "Note"


def test_html_is_found_by_its_content_and_read_in_its_own_encoding() -> None:
    page = (
        '<html><head><meta charset="iso-8859-1"><title>x</title></head><body><p>Café am Größten Kai.</p></body></html>'
    )
    assert read(page.encode("latin-1"), name="notes.txt").text == "Café am Größten Kai."


def test_external_references_in_html_are_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("the reader opened a connection")

    monkeypatch.setattr("socket.socket.connect", refuse)
    monkeypatch.setattr("socket.getaddrinfo", refuse)
    page = (
        '<!DOCTYPE html SYSTEM "http://192.0.2.1/x.dtd"><html><head><base href="http://192.0.2.1/">'
        '<link rel="stylesheet" href="http://192.0.2.1/a.css"></head><body><img src="http://192.0.2.1/p.png">'
        "<iframe src='http://192.0.2.1/'></iframe><p>Only this sentence is read.</p></body></html>"
    )
    assert "Only this sentence is read." in read(page.encode(), name="a.html").text


TEXT = """HARBOUR BULLETIN        May 2026
================================
Please leave it on the notice board until the next one comes, and read it to
those who cannot.

1. NEW BUOYS
   Three new buoys lie before the entrance, at the places where the old ones
   were. Keep them to port.

   - green: entrance
   - red: shoal,
     keep off
"""


def test_text() -> None:
    document = read(TEXT.encode("cp1252"), name="bulletin.txt")
    assert sections(document) == [
        (
            "HARBOUR BULLETIN May 2026",
            "Please leave it on the notice board until the next one comes, and read it to those who cannot.",
        ),
        (
            "HARBOUR BULLETIN May 2026 > 1. NEW BUOYS",
            (
                "Three new buoys lie before the entrance, at the places where the old ones were. Keep them to port.\n\n"
                "- green: entrance\n- red: shoal, keep off"
            ),
        ),
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_text_in_common_encodings(encoding: str) -> None:
    assert (
        read("Der Kai ist für Boote über 12 m.".encode(encoding), name="a.txt").text
        == "Der Kai ist für Boote über 12 m."
    )


def saved(document: "docx.document.Document") -> bytes:
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def test_word() -> None:
    source = docx.Document()
    source.core_properties.title = "Word Document"
    source.add_heading("Harbour handbook", level=0)
    source.add_heading("Mooring", level=1)
    paragraph = source.add_paragraph("Boats lie at the ")
    paragraph.add_run("north").bold = True
    paragraph.add_run(" quay.")
    source.add_paragraph("two lines", style="List Bullet")
    source.add_paragraph("a fender", style="List Bullet 2")
    source.add_paragraph("Pay.", style="List Number")
    source.add_paragraph("Moor.", style="List Number")
    source.add_heading("Fees", level=2)
    table = source.add_table(rows=3, cols=3)
    for row, texts in zip(table.rows, (("Boat", "Fee", "VAT"), ("Sloop", "12.50", ""), ("All", "x", "x")), strict=True):
        for cell, text in zip(row.cells, texts, strict=True):
            cell.text = text
    table.cell(2, 1).merge(table.cell(2, 2)).text = "on request"
    assert (read(saved(source), name="h.docx").title, sections(read(saved(source), name="h.docx"))) == (
        "Harbour handbook",
        [
            (
                "Harbour handbook > Mooring",
                "Boats lie at the north quay.\n\n- two lines\n  - a fender\n1. Pay.\n2. Moor.",
            ),
            ("Harbour handbook > Mooring > Fees", "Boat | Fee | VAT\nSloop | 12.50\nAll | on request"),
        ],
    )


def test_word_pages_come_from_breaks() -> None:
    source = docx.Document()
    source.add_paragraph("On the first page.")
    source.add_paragraph().add_run().add_break(WD_BREAK.PAGE)
    source.add_paragraph("On the second page.")
    document = read(saved(source), name="pages.docx")
    assert document.page_count == 2
    assert document.page_at(document.text.index("first")) == 1
    assert document.page_at(document.text.index("On the second")) == 2


def test_word_accepts_insertions_rejects_deletions_and_enters_content_controls() -> None:
    source = docx.Document()
    paragraph = source.add_paragraph("The fee is ")
    for tag, text_tag, text in (("w:del", "w:delText", "ten"), ("w:ins", "w:t", "twelve")):
        change, run, piece = OxmlElement(tag), OxmlElement("w:r"), OxmlElement(text_tag)
        piece.text = text
        run.append(piece)
        change.append(run)
        paragraph._p.append(change)
    paragraph.add_run(" euro.")
    inner = source.add_paragraph("Inside a control.")._p
    control, content = OxmlElement("w:sdt"), OxmlElement("w:sdtContent")
    inner.addprevious(control)
    control.append(content)
    content.append(inner)
    assert read(saved(source), name="a.docx").text == "The fee is twelve euro.\n\nInside a control."


def test_headings_of_a_localised_word_are_known_by_their_outline_level() -> None:
    source = docx.Document()
    style = source.styles["Heading 2"]
    style.name = "Kapitel"
    source.add_paragraph("Gebühren", style="Kapitel")
    source.add_paragraph("Zwölf Euro.")
    own = source.add_paragraph("Zeiten")
    level = OxmlElement("w:outlineLvl")
    level.set(qn("w:val"), "0")
    own._p.get_or_add_pPr().append(level)
    source.add_paragraph("Immer offen.")
    document = read(saved(source), name="Hafen.docx")
    assert sections(document)[0][0].endswith("Gebühren")
    assert sections(document)[1] == ("Zeiten", "Immer offen.")


class Report(FPDF):
    def header(self) -> None:
        self.set_font("Helvetica", size=8)
        self.cell(0, 5, "Harbour report 2026", new_x="LMARGIN", new_y="NEXT")

    def footer(self) -> None:
        self.set_y(-15)
        self.set_font("Helvetica", size=8)
        self.cell(0, 5, f"Page {self.page_no()} of {{nb}}")


def report() -> Report:
    pdf = Report()
    pdf.set_title("Harbour report")
    pdf.add_page()
    pdf.set_font("Helvetica", "B", 16)
    pdf.multi_cell(0, 8, "1. The year", new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("Helvetica", size=11)
    pdf.multi_cell(
        0,
        6,
        "The harbour was open on all days of the year, except for the two days in January on which the ice was thicker"
        " than a hand. Boats were moved to the inner basin, which the harbour master had kept free for them.",
        new_x="LMARGIN",
        new_y="NEXT",
    )
    return pdf


def test_pdf_paragraphs_headings_and_running_heads() -> None:
    pdf = report()
    pdf.add_page()
    pdf.set_font("Helvetica", size=11)
    pdf.multi_cell(0, 6, "A second page without a heading.", new_x="LMARGIN", new_y="NEXT")
    document = read(bytes(pdf.output()), name="r.pdf")
    assert document.title == "Harbour report"
    assert document.text == (
        "Harbour report 2026\n\n1. The year\n\n"
        "The harbour was open on all days of the year, except for the two days in January on which the ice was thicker"
        " than a hand. Boats were moved to the inner basin, which the harbour master had kept free for them.\n\n"
        "A second page without a heading."
    )
    assert document.left_out == (
        LeftOut("running_head", "Harbour report 2026", (2,)),
        LeftOut("page_number", "Page 1 of 2", (1, 2), 2),
    )
    assert [section.path for section in document.sections][-1] == ("Harbour report", "1. The year")
    assert document.page_count == 2
    assert document.page_at(document.text.index("A second")) == 2
    assert document.page_at(document.text.index("A second") - 3) == 1


def test_a_sentence_that_runs_over_a_page_break_stays_one() -> None:
    pdf = report()
    pdf.set_font("Helvetica", size=11)
    pdf.multi_cell(0, 6, "Whoever came late was towed away and", new_x="LMARGIN", new_y="NEXT")
    pdf.add_page()
    pdf.set_font("Helvetica", size=11)
    pdf.multi_cell(0, 6, "paid for that, too.", new_x="LMARGIN", new_y="NEXT")
    document = read(bytes(pdf.output()), name="r.pdf")
    assert "was towed away and paid for that, too." in document.text
    assert document.page_at(document.text.index("paid for")) == 2
    assert document.page_at(document.text.index("towed")) == 1


def test_pdf_tables_keep_their_rows_even_with_wrapped_cells() -> None:
    pdf = report()
    pdf.set_font("Helvetica", size=10)
    rows = (
        ("Boat", "Fee", "Remark"),
        ("Sloop", "12.50", "of up to eight metres, measured over all and without the bowsprit, if it has one"),
        ("Barge with a tug that lies beside it over night", "40.00", "none"),
    )
    with pdf.table(width=140, col_widths=(40, 20, 80)) as table:
        for texts in rows:
            table.row(texts)
    document = read(bytes(pdf.output()), name="r.pdf")
    assert "\n".join(" | ".join(row) for row in rows) in document.text


def test_words_broken_at_the_margin_are_mended_and_compounds_are_not() -> None:
    pdf = report()
    pdf.set_font("Helvetica", size=11)
    lines = (
        "The harbour master keeps the inner basin free for boats that need shel-",
        "ter from the wind. Every long-term contract is looked at twice; a long-",
        "term contract is never renewed by itself.",
    )
    for line in lines:
        pdf.cell(0, 6, line, new_x="LMARGIN", new_y="NEXT")
    text = read(bytes(pdf.output()), name="r.pdf").text
    assert "need shelter from the wind" in text
    assert "a long-term contract is never" in text


def test_lists_in_a_pdf_are_items() -> None:
    pdf = report()
    pdf.set_font("Helvetica", size=11)
    for text in ("two lines that are long enough", "a fender on each side"):
        pdf.cell(6, 6, "\x95")
        pdf.multi_cell(0, 6, text, new_x="LMARGIN", new_y="NEXT")
    document = read(bytes(pdf.output()), name="r.pdf")
    assert document.text.endswith("- two lines that are long enough\n- a fender on each side")


def test_a_bold_word_does_not_make_a_table_of_its_paragraph() -> None:
    pdf = report()
    pdf.set_font("Helvetica", size=11)
    text = "**Note** that the **fee** is due at **once**, and\nthat the **fine** is **twice** the **fee** in winter."
    pdf.multi_cell(0, 6, text, markdown=True, new_x="LMARGIN", new_y="NEXT")
    document = read(bytes(pdf.output()), name="r.pdf")
    assert " | " not in document.text
    assert "that the fine is twice the fee in winter." in document.text


def pages_with_feet(*feet: str, head: str = "") -> bytes:
    """A PDF with a page for each foot."""
    pdf = FPDF()
    pdf.set_auto_page_break(False)
    for number, foot in enumerate(feet, start=1):
        pdf.add_page()
        pdf.set_font("Helvetica", size=11)
        if head:
            pdf.set_y(10)
            pdf.cell(0, 6, head.format(page=number))
        pdf.set_y(100)
        pdf.multi_cell(0, 6, f"Text of its own stands in the middle of the page with the letter {'abcdefgh'[number]}.")
        pdf.set_y(-20)
        pdf.cell(0, 6, foot)
    return bytes(pdf.output())


@pytest.mark.parametrize(
    ("feet", "kept"),
    [
        (("Amount due: 120.00 EUR", "Amount due: 2350.00 EUR"), ("120.00", "2350.00")),
        (("Total 10", "Total 12", "Total 15"), ("Total 10", "Total 12", "Total 15")),
        (("Due 1 March 2026", "Due 1 April 2026"), ("March", "April")),
        (("Invoice 7: 5 EUR", "Invoice 8: 6 EUR", "Invoice 9: 900 EUR"), ("5 EUR", "6 EUR", "900 EUR")),
        (("Fee 12.00 EUR", "Fee 12.00 EUR"), ("Fee 12.00 EUR",)),
        (("1200", "3"), ("1200", "3")),
    ],
)
def test_feet_that_differ_in_more_than_the_page_stay(feet: tuple[str, ...], kept: tuple[str, ...]) -> None:
    document = read(pages_with_feet(*feet), name="x.pdf")
    assert [part for part in kept if part not in document.text] == []


@pytest.mark.parametrize(
    ("feet", "pages"),
    [
        (("1", "2", "3"), (1, 2, 3)),
        (("17", "18", "19"), (1, 2, 3)),
        (("Seite 4 von 9", "Seite 5 von 9"), (1, 2)),
        (("- 1 -", "- 2 -"), (1, 2)),
        (("1/2", "2/2"), (1, 2)),
    ],
)
def test_page_numbers_are_left_out_and_named(feet: tuple[str, ...], pages: tuple[int, ...]) -> None:
    document = read(pages_with_feet(*feet, head="Report of the year, page {page}"), name="x.pdf")
    assert [foot for foot in feet if f"\n{foot}\n" in f"\n{document.text}\n"] == []
    assert document.text.count("Report of the year") == 1
    found = {each.what: each.pages for each in document.left_out}
    assert found == {"page_number": pages, "running_head": pages[1:]}
