"""Workbooks, presentations, CSV, JSON, mail and the tables of HTML: rows keep the names of their columns."""

import io
import json
import zipfile
from datetime import date
from email.message import EmailMessage
from pathlib import Path

import openpyxl
import pytest
from openpyxl.comments import Comment

from pipelines.knowledge.documents.chunks import split_document
from pipelines.knowledge.documents.document import LeftOut
from pipelines.knowledge.documents.errors import UnreadableDocument
from pipelines.knowledge.documents.formats import SUFFIXES, Format
from pipelines.knowledge.documents.limits import Limits
from pipelines.knowledge.documents.readers import read

A = "http://schemas.openxmlformats.org/drawingml/2006/main"
P = "http://schemas.openxmlformats.org/presentationml/2006/main"
R = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def test_every_format_is_documented() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/documents.md").read_text(encoding="utf-8")
    assert [suffix for suffix in SUFFIXES if f"`{suffix}`" not in page] == []
    assert {found for found, _ in SUFFIXES.values()} == set(Format)


def archive(entries: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in entries.items():
            packed.writestr(name, content)
    return buffer.getvalue()


def workbook() -> openpyxl.Workbook:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Fees"
    for row in (["Zone", "Price", "From"], ["A", 4.5, date(2026, 5, 1)], ["B", 0.1 + 0.2, None], ["C", 12, None]):
        sheet.append(row)
    return book


def saved(book: openpyxl.Workbook) -> bytes:
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def test_a_workbook_shows_its_values() -> None:
    document = read(saved(workbook()), name="fees.xlsx")
    assert document.text == "Fees\n\nZone | Price | From\nA | 4.5 | 2026-05-01\nB | 0.3\nC | 12"
    assert document.media_type.endswith("spreadsheetml.sheet")


def test_what_is_hidden_in_a_workbook_is_left_out_and_named() -> None:
    book = workbook()
    sheet = book["Fees"]
    sheet["D1"], sheet["D2"] = "Secret", "x"
    sheet.column_dimensions["D"].hidden = True
    sheet.row_dimensions[4].hidden = True
    sheet["B3"] = "=1+1"
    sheet["A2"].comment = Comment("Ask Anna", "Bob")
    book.create_sheet("Salaries").sheet_state = "hidden"
    document = read(saved(book), name="fees.xlsx")
    assert document.text == "Fees\n\nZone | Price | From\nA | 4.5 | 2026-05-01\nB"
    assert set(document.left_out) == {
        LeftOut("formula_without_value", "1+1"),
        LeftOut("hidden_row"),
        LeftOut("hidden_column"),
        LeftOut("hidden_sheet", "Salaries"),
        LeftOut("comment", "Ask Anna"),
    }


def test_merged_cells_and_shares() -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for row in (["Fees of 2026"], ["Zone", "Price"], ["A", 0.25], [None, 0.5]):
        sheet.append(row)
    sheet.merge_cells("A1:B1")
    sheet.merge_cells("A3:A4")
    sheet["B3"].number_format = sheet["B4"].number_format = "0.0%"
    document = read(saved(book), name="fees.xlsx")
    assert document.text == "Sheet\n\nFees of 2026\n\nZone | Price\nA | 25.0%\nA | 50.0%"


def test_every_passage_of_a_long_table_names_its_columns() -> None:
    rows = "".join(f"{number};berth {number};{number * 3},50\n" for number in range(200))
    document = read(f"number;place;price\n{rows}".encode(), name="prices.csv")
    chunks = split_document(document)
    assert len(chunks) > 5
    for chunk in chunks:
        assert all(line.count("price: ") == 1 for line in chunk.text.split("\n"))
    assert "number: 7; place: berth 7; price: 21,50" in document.text


@pytest.mark.parametrize(
    ("source", "wanted"),
    [
        ("zone;price\nA;4,50\nB;6,20\n", "zone | price\nA | 4,50\nB | 6,20"),
        ("sep=|\nzone|price\nA|4\n", "zone | price\nA | 4"),
        ('zone,note\nA,"one, two\nthree"\n', "zone | note\nA | one, two three"),
        ("zone\tprice\nA\t4\n", "zone | price\nA | 4"),
        ('zone,note\nA,"never closed\n', "zone | note\nA | never closed"),
        ("1,2\n3,4\n9,7\n", "1 | 2\n3 | 4\n9 | 7"),
    ],
)
def test_tables_of_text(source: str, wanted: str) -> None:
    assert read(source.encode(), name="t.csv").text == wanted


def test_bounds_of_tables() -> None:
    with pytest.raises(UnreadableDocument, match="cells"):
        read(b"a,b\n" * 50, name="a.csv", limits=Limits(cells=60))
    with pytest.raises(UnreadableDocument, match="cells"):
        read(saved(workbook()), name="a.xlsx", limits=Limits(cells=5))
    with pytest.raises(UnreadableDocument, match="unpacks"):
        read(saved(workbook()), name="a.xlsx", limits=Limits(uncompressed_bytes=500))


def test_entities_of_a_workbook_are_not_expanded() -> None:
    book = saved(workbook())
    with zipfile.ZipFile(io.BytesIO(book)) as packed:
        parts = {name: packed.read(name).decode() for name in packed.namelist()}
    parts["xl/worksheets/sheet1.xml"] = (
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd"><!ENTITY b "bbbb">]>'
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1">'
        '<c r="A1" t="inlineStr"><is><t>&a;&b;Fine</t></is></c></row></sheetData></worksheet>'
    )
    assert "root:" not in read(archive(parts), name="a.xlsx").text


def test_a_table_of_a_page_keeps_its_cells_apart() -> None:
    source = (
        b"<table><tr><th rowspan=2>Zone</th><th colspan=2>Price</th></tr><tr><th>Day</th><th>Night</th></tr>"
        b"<tr><td>A</td><td>4</td><td>9</td></tr></table>"
    )
    assert read(source, name="t.html").text == "Zone | Price Day | Price Night\nA | 4 | 9"


def test_tables_within_tables_and_tables_for_layout() -> None:
    inner = "<table><tr><td>x</td><td>y</td></tr></table>"
    data = f"<table><tr><th>Name</th><th>Parts</th></tr><tr><td>A</td><td>{inner}</td></tr></table>"
    assert read(data.encode(), name="t.html").text == "Name | Parts\nA | x y"
    layout = f"<table><tr><td><h2>Fees</h2><p>Pay at the office.</p></td><td>{inner}</td></tr></table>"
    assert read(layout.encode(), name="t.html").text == "Fees\n\nPay at the office.\n\nx | y"


def test_macros_are_left_out_and_named() -> None:
    buffer = io.BytesIO(saved(workbook()))
    with zipfile.ZipFile(buffer, "a") as packed:
        packed.writestr("xl/vbaProject.bin", b"x")
    assert read(buffer.getvalue(), name="a.xlsm").left_out == (LeftOut("macros"),)


def test_markdown_that_begins_with_a_tag_stays_markdown() -> None:
    source = b"<div align=center>Harbour</div>\n\n# Fees\n\n* one\n"
    assert read(source, name="README.md").media_type == "text/markdown"
    assert read(source, name="README").media_type == "text/html"


def test_the_content_decides_between_formats() -> None:
    named = {"a.docx": "sheet", "a.txt": "sheet", "a": "sheet"}
    for name, kind in named.items():
        assert read(saved(workbook()), name=name).media_type.endswith(kind)
    assert read(mail().as_bytes(), name="a.txt").media_type == "message/rfc822"
    assert read(b"Subject: none\nFrom: here\n\nA note.", name="a.txt").media_type == "text/plain"
    assert read(b'[{"a": 1}, {"a": 2}]', name="a", content_type="text/plain").media_type == "application/json"


def test_deep_nesting_loses_nothing() -> None:
    page = f"<html><body>{'<div>' * 3000}deep text here{'</div>' * 3000}<p>After it.</p></body></html>"
    assert read(page.encode(), name="n.html").text == "deep text here\n\nAfter it."


def mail() -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Anna <a@example.org>", "b@example.org", "Größe"
    message["X-Spam"] = "no"
    message.set_content("Die Gebühr beträgt 12 Euro.\n")
    return message


def test_mail_with_attachments() -> None:
    message = mail()
    message.add_alternative("<p>Die Gebühr beträgt <b>12</b> Euro.</p>", subtype="html")
    message.add_attachment(b"zone,price\nA,4\n", maintype="text", subtype="csv", filename="fees.csv")
    message.add_attachment(b"%PDF-1.4 ...", maintype="application", subtype="pdf", filename="plan.pdf")
    document = read(message.as_bytes(), name="m.eml")
    assert document.title == "Größe"
    assert document.text == (
        "From: Anna <a@example.org>\nTo: b@example.org\nSubject: Größe\n\nDie Gebühr beträgt 12 Euro.\n\n"
        "Attachment: fees.csv\n\nzone | price\nA | 4"
    )
    assert document.left_out == (LeftOut("embedded", "plan.pdf"),)


def test_mail_of_html_only_in_an_old_encoding() -> None:
    data = (
        b"From: a@example.org\r\nTo: b@example.org\r\nSubject: =?koi8-r?B?8NLJ18XU?=\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: text/html; charset=koi8-r\r\n\r\n<nav>x</nav><p>"
    ) + "Да".encode("koi8-r")
    assert read(data, name="m").text.endswith("Subject: Привет\n\nx\n\nДа")


def test_json_becomes_lines_and_tables() -> None:
    value = {
        "title": "Fees",
        "valid": True,
        "note": None,
        "zones": [{"zone": "A", "price": 4.50}, {"zone": "B", "price": 6}],
        "tags": ["a", "b"],
    }
    source = json.dumps(value).replace("4.5", "4.50")
    document = read(source.encode(), name="fees.json")
    assert document.text == ("title: Fees\nvalid: true\n\nzones\n\nzone | price\nA | 4.50\nB | 6\n\ntags\n\n- a\n- b")
    lines = b'{"zone": "A", "price": 4}\n{"zone": "B", "price": 6}\n'
    assert read(lines, name="data").text == "zone | price\nA | 4\nB | 6"
    with pytest.raises(UnreadableDocument):
        read(b"[" * 100_000, name="a.json")


def presentation(slides: list[str], extra: dict[str, str] | None = None) -> bytes:
    numbers = range(1, len(slides) + 1)
    relation = f'<Relationship Id="r{{0}}" Type="{R}/{{1}}" Target="{{2}}"/>'
    listed = "".join(relation.format(number, "slide", f"slides/s{number}.xml") for number in numbers)
    ids = "".join(f'<p:sldId id="{255 + number}" r:id="r{number}"/>' for number in numbers)
    content = "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
    relations = f'<Relationships xmlns="{PACKAGE}/relationships">{{}}</Relationships>'
    return archive(
        {
            "[Content_Types].xml": f'<Types xmlns="{PACKAGE}/content-types">'
            f'<Override PartName="/ppt/presentation.xml" ContentType="{content}"/></Types>',
            "_rels/.rels": relations.format(relation.format(0, "officeDocument", "ppt/presentation.xml")),
            "ppt/presentation.xml": f'<p:presentation xmlns:p="{P}" xmlns:r="{R}"><p:sldIdLst>{ids}</p:sldIdLst>'
            "</p:presentation>",
            "ppt/_rels/presentation.xml.rels": relations.format(listed),
            **{f"ppt/slides/s{number}.xml": slide for number, slide in enumerate(slides, start=1)},
            **(extra or {}),
        }
    )


def slide(shapes: str, attributes: str = "") -> str:
    return f'<p:sld xmlns:p="{P}" xmlns:a="{A}" {attributes}><p:cSld><p:spTree>{shapes}</p:spTree></p:cSld></p:sld>'


def shape(text: str, kind: str = "") -> str:
    holder = f'<p:nvSpPr><p:nvPr><p:ph type="{kind}"/></p:nvPr></p:nvSpPr>' if kind else ""
    return f"<p:sp>{holder}<p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"


def test_a_presentation_is_read_slide_by_slide() -> None:
    cells = "".join(
        f"<a:tr>{''.join(f'<a:tc><a:txBody><a:p><a:r><a:t>{cell}</a:t></a:r></a:p></a:txBody></a:tc>' for cell in row)}"
        "</a:tr>"
        for row in (("Zone", "Price"), ("A", "4"))
    )
    notes = slide(shape("Say it slowly.", "body")).replace("p:sld ", "p:notes ").replace("</p:sld>", "</p:notes>")
    data = presentation(
        [
            slide(shape("Pay first.") + shape("Fees", "title") + shape("7", "sldNum")),
            slide(f"<p:graphicFrame><a:graphic><a:tbl>{cells}</a:tbl></a:graphic></p:graphicFrame>"),
            slide(shape("Not yet decided."), 'show="0"'),
        ],
        {
            "ppt/slides/_rels/s1.xml.rels": f'<Relationships xmlns="{PACKAGE}/relationships">'
            f'<Relationship Id="n" Type="{R}/notesSlide" Target="../notes.xml"/></Relationships>',
            "ppt/notes.xml": notes,
        },
    )
    document = read(data, name="deck.pptx")
    assert document.text == "Fees\n\nPay first.\n\nNotes:\nSay it slowly.\n\nZone | Price\nA | 4"
    assert document.page_count == 3
    assert document.page_at(document.text.index("Zone")) == 2
    assert document.left_out == (
        LeftOut("page_number", "7", (1,)),
        LeftOut("hidden_slide", "Not yet decided.", (3,)),
    )
