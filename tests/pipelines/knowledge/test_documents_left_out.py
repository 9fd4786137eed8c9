"""What a reader does not take into the text it names, and what stands beside the text is read where it can be."""

import base64
import io
from typing import Any

import docx
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import nsmap

from pipelines.knowledge.documents.document import LeftOut
from pipelines.knowledge.documents.readers import read
from tests.pipelines.knowledge.test_documents_formats import report, saved

RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
COMPATIBILITY = "http://schemas.openxmlformats.org/markup-compatibility/2006"
ONE_PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def element_of(xml: str) -> Any:
    """An element of a Word document."""
    return parse_xml(f'<x xmlns:w="{nsmap["w"]}" xmlns:mc="{COMPATIBILITY}">{xml}</x>')[0]


def test_html_names_what_it_leaves_out() -> None:
    article = "".join(f"<p>The harbour opens at {hour} and closes when the tide turns.</p>" for hour in range(6, 18))
    page = (
        "<html><head><title>Harbour</title><style>p {color: red}</style><script>var tide = 1;</script></head><body>"
        "<nav><a>Timetables for ferries</a></nav><main><h1>Harbour</h1>"
        f"{article}<table><tr><td>Fee</td><td>12.50</td></tr><tr><td>Deposit</td><td>40.00</td></tr></table>"
        "<img src='x.png' alt='A map of the piers'></main>"
        "<iframe src='https://example.org/' title='Webcam'></iframe><footer>Imprint and privacy</footer></body></html>"
    )
    document = read(page.encode(), name="h.html")
    assert "12.50" in document.text
    found = {(each.what, each.text) for each in document.left_out}
    assert {
        ("navigation", "Timetables for ferries"),
        ("navigation", "Imprint and privacy"),
        ("picture", "A map of the piers"),
        ("embedded", "Webcam"),
    } == found


def test_markdown_names_what_it_leaves_out() -> None:
    document = read(
        b"---\ntitle: Harbour\nowner: Anna\n---\n# Fees\n\n<!-- ask the harbour master -->\n\n12.50 a night.\n",
        name="h.md",
    )
    assert document.text == "Fees\n\n12.50 a night."
    assert document.left_out == (LeftOut("front_matter", "owner: Anna"), LeftOut("comment", "ask the harbour master"))


def test_word_reads_boxes_and_notes_and_names_what_it_leaves_out() -> None:
    source = docx.Document()
    source.sections[0].header.paragraphs[0].text = "Harbour rules, confidential"
    paragraph = source.add_paragraph("The fee is twelve euro.")
    source.add_comment(paragraph.runs, text="Is that still so?", author="Anna")
    paragraph._p.append(element_of('<w:del w:id="9" w:author="A"><w:r><w:delText>ten euro</w:delText></w:r></w:del>'))
    box = "<w:txbxContent><w:p><w:r><w:t>Dogs on a leash.</w:t></w:r></w:p></w:txbxContent>"
    paragraph._p.append(
        element_of(
            f"<w:r><mc:AlternateContent><mc:Choice Requires='wps'>{box}</mc:Choice>"
            f"<mc:Fallback>{box}</mc:Fallback></mc:AlternateContent></w:r>"
        )
    )
    source.add_picture(io.BytesIO(ONE_PIXEL))
    document = read(saved(source), name="h.docx")
    assert document.text == "The fee is twelve euro.\n\nDogs on a leash.\n\nHarbour rules, confidential"
    assert {(each.what, each.text) for each in document.left_out} == {
        ("comment", "Is that still so?"),
        ("deleted", "ten euro"),
        ("picture", ""),
    }


def test_the_footnotes_of_a_word_document_are_read() -> None:
    source = docx.Document()
    source.add_paragraph("The fee is twelve euro.")
    notes = (
        f'<w:footnotes xmlns:w="{nsmap["w"]}"><w:footnote w:type="separator" w:id="-1"><w:p/></w:footnote>'
        '<w:footnote w:id="2"><w:p><w:r><w:t>Ten for members.</w:t></w:r></w:p></w:footnote></w:footnotes>'
    )
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
    part = Part(PackURI("/word/footnotes.xml"), kind, notes.encode(), source.part.package)
    source.part.relate_to(part, f"{RELATIONS}/footnotes")
    assert read(saved(source), name="h.docx").text == "The fee is twelve euro.\n\nTen for members."


def test_a_pdf_names_what_is_laid_over_it_or_inside_it() -> None:
    pdf = report()
    pdf.text_annotation(20, 20, "Is this still so?")
    pdf.embed_file(bytes=b"1;2", basename="fees.csv")
    pdf.add_page()
    pdf.image(io.BytesIO(ONE_PIXEL), 10, 10, 50, 50)
    document = read(bytes(pdf.output()), name="r.pdf")
    assert {(each.what, each.text, each.pages) for each in document.left_out if each.what != "page_number"} == {
        ("comment", "Is this still so?", (1,)),
        ("embedded", "fees.csv", ()),
        ("running_head", "Harbour report 2026", (2,)),
    }
