"""A4 PDFs in the core Helvetica font: running header and footer, tables, bookmarks, one or two columns of text."""

from itertools import groupby

from fpdf import FPDF
from fpdf.enums import TableBordersLayout, TableCellFillMode
from fpdf.fonts import FontFace
from fpdf.text_region import TextColumns

from rendering.blocks import Block, Callout, Heading, Item, Paragraph, Run, Source, Table

COMPANY = "Veldhaven Parcel & Freight B.V."
INK = (28, 38, 54)
ACCENT = (17, 92, 128)
BODY_POINTS = 10
LINE_MM = 5.1
INDENT_MM = 6
MARGIN_MM = 22
# A heading alone at the foot of a page reads badly: it moves on when less than this is left. A chapter needs more,
# since its first section's heading follows at once.
KEEP_WITH_NEXT_MM = {1: 42, 2: 28, 3: 28}
HEADING_POINTS = {1: 14, 2: 11.5, 3: 10}


class _Page(FPDF):
    """Letterhead: the header from page two on, the footer on every page."""

    def __init__(self, source: Source) -> None:
        super().__init__(format="A4")
        self.source = source
        self.set_margins(MARGIN_MM, 20, MARGIN_MM)
        self.set_auto_page_break(auto=True, margin=MARGIN_MM)
        # What zlib writes differs between its implementations; plain streams are the same bytes everywhere.
        self.set_compression(False)
        self.set_creation_date(source.date)
        self.set_title(source.title)
        self.set_author(source.owner)
        self.set_subject(source.reference)
        self.set_lang("en-GB")
        self.set_producer("Veldhaven document office")

    def header(self) -> None:
        """Write company, title and reference above a thin rule."""
        if self.page_no() == 1:
            return
        # A page may break inside a list, while the left margin is moved in: the letterhead stays where it is.
        self.set_x(MARGIN_MM)
        self.set_font("Helvetica", size=8)
        self.set_text_color(*ACCENT)
        self.cell(0, 5, f"{COMPANY} | {self.source.title}")
        self.cell(0, 5, f"{self.source.reference} v{self.source.version}", align="R", new_x="LMARGIN", new_y="NEXT")
        self.set_draw_color(*ACCENT)
        self.line(MARGIN_MM, self.y, self.w - MARGIN_MM, self.y)
        self.ln(6)

    def footer(self) -> None:
        """Write classification and page number."""
        self.set_xy(MARGIN_MM, -15)
        self.set_font("Helvetica", size=8)
        self.set_text_color(*ACCENT)
        self.cell(0, 5, f"{self.source.classification} - {self.source.date:%d %B %Y}")
        self.cell(0, 5, f"Page {self.page_no()} of {{nb}}", align="R")


def render_pdf(source: Source) -> bytes:
    """Render one document; text outside Latin-1 raises, since the core fonts cannot show it."""
    page = _Page(source)
    page.add_page()
    _title(page, source)
    after_item = False
    for in_columns, blocks in groupby(source.blocks, key=lambda block: source.columns > 1 and _flows(block)):
        if in_columns:
            _body(page)
            with page.text_columns(
                ncols=source.columns, gutter=8, balance=True, line_height=LINE_MM / (BODY_POINTS * 0.3528)
            ) as columns:
                for block in blocks:
                    _flow(page, columns, block)
            page.ln(3)
        else:
            for block in blocks:
                if after_item and not isinstance(block, Item):
                    page.ln(1.5)
                _place(page, block)
                after_item = isinstance(block, Item)
    return bytes(page.output())


def _title(page: _Page, source: Source) -> None:
    page.set_text_color(*ACCENT)
    page.set_font("Helvetica", size=10)
    page.cell(0, 6, COMPANY, new_x="LMARGIN", new_y="NEXT")
    page.set_font("Helvetica", "B", 22)
    page.multi_cell(0, 10, source.title, align="L", new_x="LMARGIN", new_y="NEXT")
    page.ln(2)
    page.set_font("Helvetica", size=9)
    page.set_text_color(*INK)
    page.cell(0, 5, f"Reference {source.reference} | Version {source.version}", new_x="LMARGIN", new_y="NEXT")
    page.cell(0, 5, f"Dated {source.date:%d %B %Y} | Owner: {source.owner}", new_x="LMARGIN", new_y="NEXT")
    page.ln(4)


def _flows(block: Block) -> bool:
    return isinstance(block, Paragraph | Item) or (isinstance(block, Heading) and block.level > 1)


def _body(page: _Page) -> None:
    page.set_font("Helvetica", size=BODY_POINTS)
    page.set_text_color(*INK)


def _style(run: Run) -> str:
    return ("B" if run.bold else "") + ("I" if run.italic else "")


def _place(page: _Page, block: Block) -> None:
    match block:
        case Heading(level, text):
            page.ln(3 if level == 1 else 1)
            if page.h - page.b_margin - page.y < KEEP_WITH_NEXT_MM[level]:
                page.add_page()
            page.start_section(text, level - 1)
            page.set_font("Helvetica", "B", HEADING_POINTS[level])
            page.set_text_color(*(ACCENT if level == 1 else INK))
            page.multi_cell(0, HEADING_POINTS[level] * 0.55, text, align="L", new_x="LMARGIN", new_y="NEXT")
            page.ln(1.5)
        case Paragraph(runs):
            _write(page, runs)
            page.ln(LINE_MM + 2)
        case Item(runs, depth, number):
            left = page.l_margin
            page.set_x(left + depth * INDENT_MM)
            _body(page)
            page.cell(INDENT_MM, LINE_MM, "-" if number is None else f"{number}.")
            page.set_left_margin(left + (depth + 1) * INDENT_MM)
            _write(page, runs)
            page.set_left_margin(left)
            page.ln(LINE_MM + 0.8)
        case Callout(runs):
            left = page.l_margin
            page.set_left_margin(left + INDENT_MM)
            page.set_x(left + INDENT_MM)
            top = page.y
            _write(page, tuple(Run(run.text, bold=True, italic=run.italic) for run in runs))
            page.set_left_margin(left)
            page.ln(LINE_MM)
            if page.y > top:
                page.set_draw_color(*ACCENT)
                page.line(left + 2, top, left + 2, page.y)
            page.ln(3)
        case Table(rows):
            _table(page, rows)


def _write(page: _Page, runs: tuple[Run, ...]) -> None:
    _body(page)
    for run in runs:
        page.set_font(style=_style(run))
        page.write(LINE_MM, run.text)


def _table(page: _Page, rows: tuple[tuple[str, ...], ...]) -> None:
    _body(page)
    page.set_font(size=9)
    page.ln(1)
    # Column widths follow the longest cell, within reason, so that a price column does not get a paragraph's room.
    widths = tuple(min(max(7, *(len(row[i]) for row in rows)), 45) for i in range(len(rows[0])))
    with page.table(
        rows=rows,
        col_widths=widths,
        line_height=4.8,
        padding=0.8,
        text_align="LEFT",
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        cell_fill_color=(240, 244, 247),
        cell_fill_mode=TableCellFillMode.ROWS,
        headings_style=FontFace(emphasis="BOLD", color=(255, 255, 255), fill_color=ACCENT),
    ):
        pass
    page.ln(4)


def _flow(page: _Page, columns: TextColumns, block: Block) -> None:
    match block:
        case Heading(level, text):
            page.set_font("Helvetica", "B", HEADING_POINTS[level])
            with columns.paragraph(top_margin=2, bottom_margin=1) as paragraph:
                paragraph.write(text)
        case Paragraph(runs):
            with columns.paragraph(bottom_margin=2) as paragraph:
                for run in runs:
                    page.set_font("Helvetica", _style(run), BODY_POINTS)
                    paragraph.write(run.text)
        case Item(runs, depth, number):
            with columns.paragraph(bottom_margin=1, indent=(depth + 1) * INDENT_MM) as paragraph:
                page.set_font("Helvetica", size=BODY_POINTS)
                paragraph.write("- " if number is None else f"{number}. ")
                for run in runs:
                    page.set_font("Helvetica", _style(run), BODY_POINTS)
                    paragraph.write(run.text)
    _body(page)
