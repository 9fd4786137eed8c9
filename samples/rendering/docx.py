"""Word documents with real styles, numbered lists that restart, tables, and a page number field in the footer."""

import io
import zipfile

from docx import Document
from docx.document import Document as WordDocument
from docx.enum.style import WD_STYLE_TYPE
from docx.oxml import OxmlElement
from docx.oxml.ns import qn
from docx.shared import Pt
from docx.text.paragraph import Paragraph as WordParagraph

from rendering.blocks import Block, Callout, Heading, Item, Paragraph, Run, Source, Table
from rendering.pdf import COMPANY

# The earliest time a zip entry can carry; a build date there would change the bytes of every build.
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)
TABLE_STYLE = "Light Grid Accent 1"


def render_docx(source: Source) -> bytes:
    """Render one document; the archive's entries are stored uncompressed so that equal input gives equal bytes."""
    document = Document()
    _properties(document, source)
    document.add_heading(source.title, level=0)
    document.add_paragraph(
        f"Reference {source.reference} | Version {source.version} | Dated {source.date:%d %B %Y} | "
        f"Owner: {source.owner} | {source.classification}",
        style="Subtitle",
    )
    numbering = None
    for block in source.blocks:
        if isinstance(block, Item) and block.number == 1 and block.depth == 0:
            numbering = _restarted_numbering(document)
        _add(document, block, numbering)
    _trim(document)
    packed = io.BytesIO()
    document.save(packed)
    return _normalised(packed.getvalue())


def _properties(document: WordDocument, source: Source) -> None:
    properties = document.core_properties
    properties.title = source.title
    properties.author = properties.last_modified_by = source.owner
    properties.subject = source.reference
    properties.comments = ""
    properties.created = properties.modified = source.date.replace(tzinfo=None)
    properties.revision = 1
    document.styles["Normal"].font.name = "Calibri"
    document.styles["Normal"].font.size = Pt(10.5)
    section = document.sections[0]
    section.header.paragraphs[0].text = f"{COMPANY}\t\t{source.reference}"
    footer = section.footer.paragraphs[0]
    footer.add_run(f"{source.classification}\t\tPage ")
    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), "PAGE")
    footer._p.append(field)  # noqa: SLF001 - python-docx has no call for fields


def _add(document: WordDocument, block: Block, numbering: int | None) -> None:
    match block:
        case Heading(level, text):
            document.add_heading(text, level=level)
        case Paragraph(runs):
            _runs(document.add_paragraph(), runs)
        case Callout(runs):
            _runs(document.add_paragraph(style="Intense Quote"), runs)
        case Item(runs, depth, number):
            style = "List Bullet" if number is None else "List Number"
            paragraph = document.add_paragraph(style=style if depth == 0 else f"{style} {depth + 1}")
            if number is not None and depth == 0 and numbering is not None:
                _number(paragraph, numbering)
            _runs(paragraph, runs)
        case Table(rows):
            table = document.add_table(rows=0, cols=len(rows[0]), style=TABLE_STYLE)
            for row in rows:
                for cell, text in zip(table.add_row().cells, row, strict=True):
                    cell.text = text
            # Word joins two tables that have nothing between them.
            document.add_paragraph()


def _runs(paragraph: WordParagraph, runs: tuple[Run, ...]) -> None:
    for run in runs:
        added = paragraph.add_run(run.text)
        added.bold = run.bold or None
        added.italic = run.italic or None


def _restarted_numbering(document: WordDocument) -> int:
    """Make a numbering instance of the List Number style that starts at one again; Word would count on otherwise."""
    style = document.styles["List Number"].element
    inherited = style.pPr.numPr.numId.val
    numbering = document.part.numbering_part.element
    abstract = next(num for num in numbering.num_lst if num.numId == inherited).abstractNumId.val
    fresh = numbering.add_num(abstract)
    fresh.add_lvlOverride(ilvl=0).add_startOverride(1)
    return int(fresh.numId)


def _number(paragraph: WordParagraph, numbering: int) -> None:
    properties = paragraph._p.get_or_add_pPr().get_or_add_numPr()  # noqa: SLF001 - as above
    properties.get_or_add_ilvl().val = 0
    properties.get_or_add_numId().val = numbering


def _trim(document: WordDocument) -> None:
    """Leave out the template's hundred table styles, their copy for Word 2007 and its thumbnail: 95 % of the bytes."""
    for style in list(document.styles):
        if style.type == WD_STYLE_TYPE.TABLE and style.name not in {"Normal Table", TABLE_STYLE}:
            style.element.getparent().remove(style.element)
    for rels in (document.part.rels, document.part.package.rels):
        for rel_id in [rel.rId for rel in rels.values() if rel.reltype.endswith(("/stylesWithEffects", "/thumbnail"))]:
            del rels[rel_id]


def _normalised(archive: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as new:
        for name in old.namelist():
            entry = zipfile.ZipInfo(name, date_time=ZIP_EPOCH)
            entry.create_system = 3
            new.writestr(entry, old.read(name))
    return packed.getvalue()
