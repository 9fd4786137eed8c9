"""Word documents as they come: of other kinds, with equations, notes, forms, hidden text."""

import io
import zipfile
from typing import Any

import docx
import pytest
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml.ns import nsmap

from pipelines.knowledge.documents.document import Document, LeftOut
from pipelines.knowledge.documents.readers import read
from tests.pipelines.knowledge.test_documents_formats import saved

W = nsmap["w"]
SPACES = (
    f'xmlns:w="{W}" xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:w14="http://schemas.microsoft.com/office/word/2010/wordml" xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape"'
)
PLAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"


def package(body: str, *, kind: str = PLAIN, main: str = "word/document.xml", **parts: str) -> bytes:
    """A package with a main part. `parts` are others by the last word of their relationship."""
    relations = "".join(
        f'<Relationship Id="r{number}" Type="{OFFICE}/{name.rstrip("0123456789")}" Target="{name}.xml"/>'
        for number, name in enumerate(parts)
    )
    schema = "http://schemas.openxmlformats.org/package/2006"
    folder, _, file = main.rpartition("/")
    files = {
        "[Content_Types].xml": f'<Types xmlns="{schema}/content-types"><Default Extension="rels" ContentType='
        '"application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType='
        f'"application/xml"/><Override PartName="/{main}" ContentType="{kind}"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{schema}/relationships"><Relationship Id="r1" '
        f'Type="{OFFICE}/officeDocument" Target="{main}"/></Relationships>',
        f"{folder}/_rels/{file}.rels": f'<Relationships xmlns="{schema}/relationships">{relations}</Relationships>',
        main: f"<w:document {SPACES}><w:body>{body}<w:sectPr/></w:body></w:document>",
        **{f"{folder}/{name}.xml": text for name, text in parts.items()},
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return packed.getvalue()


def paragraph(runs: str) -> str:
    return f"<w:p>{runs}</w:p>"


def run(text: str, properties: str = "") -> str:
    return f'<w:r><w:rPr>{properties}</w:rPr><w:t xml:space="preserve">{text}</w:t></w:r>'


def word(body: str, **options: Any) -> Document:
    return read(package(body, **options), name="w.docx")


@pytest.mark.parametrize(
    "kind",
    [
        "application/vnd.ms-word.document.macroEnabled.main+xml",
        "application/vnd.ms-word.template.macroEnabledTemplate.main+xml",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml",
    ],
)
def test_macro_files_and_templates_are_read(kind: str) -> None:
    assert word(paragraph(run("The harbour is open.")), kind=kind).text == "The harbour is open."


def test_the_main_part_is_found_by_its_relationship() -> None:
    assert word(paragraph(run("The harbour is open.")), main="word/main7.xml").text == "The harbour is open."


def test_strict_documents_are_read() -> None:
    note = f'<w:footnotes xmlns:w="{W}"><w:footnote w:id="2">{paragraph(run("Ten for members."))}</w:footnote>'
    plain = package(paragraph(run("The fee is twelve euro.")), footnotes=f"{note}</w:footnotes>")
    strict = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(plain)) as before, zipfile.ZipFile(strict, "w") as after:
        for name in before.namelist():
            text = before.read(name).decode()
            for family in ("officeDocument", "wordprocessingml"):
                text = text.replace(f"schemas.openxmlformats.org/{family}/2006/", f"purl.oclc.org/ooxml/{family}/")
            after.writestr(name, text)
    assert "purl.oclc.org/ooxml/wordprocessingml/main" in str(strict.getvalue())
    assert read(strict.getvalue(), name="s.docx").text == "The fee is twelve euro.\n\nTen for members."


def m(name: str, *inside: str) -> str:
    return f"<m:{name}>{''.join(inside)}</m:{name}>"


def r(text: str) -> str:
    return m("r", m("t", text))


@pytest.mark.parametrize(
    ("inside", "text"),
    [
        (m("f", m("num", r("a+b")), m("den", r("2"))), "(a+b)/2"),
        (m("sSup", m("e", r("x")), m("sup", r("n+1"))), "x^(n+1)"),
        (m("sSubSup", m("e", r("x")), m("sub", r("0")), m("sup", r("2"))), "x_0^2"),
        (m("rad", m("radPr", '<m:degHide m:val="1"/>'), m("deg"), m("e", r("2g"))), "√(2g)"),
        (m("sSup", m("e", r("x")), m("sup", r("k"))) + m("sSup", m("e", r("a")), m("sup", r("2"))), "x^k a^2"),
        (m("rad", m("deg", r("3")), m("e", r("x+1"))), "∛(x+1)"),
        (
            m("nary", m("naryPr", '<m:chr m:val="∑"/>'), m("sub", r("k=1")), m("sup", r("n")), m("e", r("k"))),
            "∑_(k=1)^n k",
        ),
        (m("func", m("fName", r("log")), m("e", m("d", m("e", r("x"))))), "log(x)"),
        (m("func", m("fName", m("limLow", m("e", r("lim")), m("lim", r("x→0")))), m("e", r("x"))), "lim_(x→0) x"),
        (m("m", m("mr", m("e", r("a")), m("e", r("b"))), m("mr", m("e", r("c")), m("e", r("d")))), "[a, b; c, d]"),
        (m("acc", m("accPr", '<m:chr m:val="^"/>'), m("e", r("p"))), "p"),
        ("".join(["<m:box><m:e>"] * 60 + [r("y")] + ["</m:e></m:box>"] * 60), "y"),
    ],
)
def test_equations_are_read_as_a_line(inside: str, text: str) -> None:
    document = word(paragraph(run("It is ") + m("oMath", inside) + run(" euro.")))
    assert document.text == f"It is {text} euro."


def test_hidden_text_is_left_out_and_named() -> None:
    body = paragraph(run("Shown. ") + run("Hidden. ", "<w:vanish/>") + run("Not hidden.", '<w:vanish w:val="0"/>'))
    document = word(body)
    assert document.text == "Shown. Not hidden."
    assert document.left_out == (LeftOut("hidden", "Hidden."),)


def test_text_in_a_hidden_style_is_left_out_and_named() -> None:
    source = docx.Document()
    hidden = source.styles.add_style("Secret", WD_STYLE_TYPE.CHARACTER)
    hidden.font.hidden = True
    below = source.styles.add_style("Below", WD_STYLE_TYPE.CHARACTER)
    below.base_style = hidden
    line = source.add_paragraph("Shown.")
    line.add_run(" Hidden.", style=below)
    document = read(saved(source), name="h.docx")
    assert document.text == "Shown."
    assert document.left_out == (LeftOut("hidden", "Hidden."),)


def test_headers_and_footers_are_read_once_and_page_numbers_not() -> None:
    head = f'<w:hdr xmlns:w="{W}">{paragraph(run("Valid from 1 May."))}</w:hdr>'
    foot = f'<w:ftr xmlns:w="{W}">{paragraph(run("7"))}</w:ftr>'
    document = word(paragraph(run("Body.")), header1=head, header2=head, footer1=foot)
    assert document.text == "Body.\n\nValid from 1 May."
    assert document.left_out == (LeftOut("page_number", "7"),)


def test_controls_form_fields_and_symbols_are_read() -> None:
    box = (
        "<w:sdt><w:sdtPr><w14:checkbox><w14:checked w14:val='{}'/></w14:checkbox></w:sdtPr>"
        "<w:sdtContent>{}</w:sdtContent></w:sdt>"
    )
    prompt = f"<w:sdt><w:sdtPr><w:showingPlcHdr/></w:sdtPr><w:sdtContent>{run('Click here.')}</w:sdtContent></w:sdt>"
    old = (
        "<w:r><w:fldChar><w:ffData><w:checkBox><w:default w:val='0'/><w:checked/></w:checkBox></w:ffData>"
        "</w:fldChar></w:r>"
    )
    choice = (
        "<w:r><w:fldChar><w:ffData><w:ddList><w:result w:val='1'/><w:listEntry w:val='Sloop'/>"
        "<w:listEntry w:val='Barge'/></w:ddList></w:ffData></w:fldChar><w:instrText>FORMDROPDOWN</w:instrText></w:r>"
    )
    symbols = (
        '<w:r><w:sym w:font="Symbol" w:char="F062"/><w:sym w:font="Wingdings" w:char="F0FC"/>'
        '<w:sym w:font="Odd" w:char="x"/></w:r>'
    )
    document = word(
        paragraph(box.format(1, run("☒")) + run(" Tea"))
        + paragraph(box.format(0, run("☐")) + run(" Milk"))
        + paragraph(old + run(" Insured"))
        + paragraph(run("Boat: ") + choice + prompt)
        + paragraph(symbols)
    )
    assert document.text == "[x] Tea\n\n[ ] Milk\n\n[x] Insured\n\nBoat: Barge\n\nβ✓"
    assert document.left_out == (LeftOut("placeholder", "Click here."), LeftOut("symbol", "Odd x"))


def test_tables_in_tables_are_read_however_deep() -> None:
    depth = 12
    body = "<w:tbl><w:tr><w:tc>" * depth + paragraph(run("In the deep.")) + "<w:p/></w:tc></w:tr></w:tbl>" * depth
    assert word(body).text == "In the deep."


def test_word_art_and_phonetics_are_read() -> None:
    art = '<w:r><w:pict><v:shape><v:textpath string="DRAFT"/></v:shape></w:pict></w:r>'
    ruby = f"<w:r><w:ruby><w:rt>{run('kan')}</w:rt><w:rubyBase>{run('漢')}</w:rubyBase></w:ruby></w:r>"
    assert word(paragraph(ruby) + paragraph(art)).text == "漢(kan)\n\nDRAFT"
