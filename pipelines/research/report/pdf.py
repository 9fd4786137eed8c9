"""The report as PDF: A4, Fira Sans from a package, so that Latin, Greek and Cyrillic print on any machine.

The font has no Arabic, Hebrew or East Asian letters; those show as boxes, and are intact in the Markdown.
"""

import logging
from collections.abc import Iterable, Sequence
from importlib.resources import as_file, files

from fpdf import FPDF
from fpdf.enums import XPos, YPos
from fpdf.fonts import FontFace

from pipelines.research.report.comparing import shown
from pipelines.research.report.compose import Body, Piece
from pipelines.research.report.markdown import heading_of, nothing_of, place_of
from pipelines.research.report.rows import Grid
from pipelines.research.report.summary import Summary
from pipelines.research.schemas import Claim

_FONT = "FiraSans"
_INK, _FAINT = (28, 38, 54), (96, 106, 122)
_MARGIN_MM = 20
_LINE_MM = 5.6
# Of the width of a table: the column of the numbers of its sources.
_MARKERS_SHARE = 8

# fontTools logs every table that it leaves out.
logging.getLogger("fontTools").setLevel(logging.ERROR)
logging.getLogger("fpdf").setLevel(logging.ERROR)


class _Page(FPDF):
    def footer(self) -> None:
        self.set_y(-14)
        self.set_font(_FONT, size=8)
        self.set_text_color(*_FAINT)
        self.cell(0, 6, f"{self.page_no()} / {{nb}}", align="C")


def render_pdf(question: str, body: Body, summary: Summary) -> bytes:
    """The report as one PDF file."""
    page = _Page(format="A4")
    # Every report's file holds its own time, and no data of the machine.
    page.set_creation_date(summary.figures.at)
    page.set_title(" ".join(question.split()))
    page.set_producer("Waybill")
    page.set_margins(_MARGIN_MM, _MARGIN_MM, _MARGIN_MM)
    page.set_auto_page_break(auto=True, margin=_MARGIN_MM)
    folder = files("fontpkg_fira_sans").joinpath("files")
    for style, name in (("", "Regular"), ("B", "Bold")):
        with as_file(folder.joinpath(f"{_FONT}-{name}.ttf")) as path:
            page.add_font(_FONT, style, path)
    page.add_page()
    _write(page, question, body, summary)
    return bytes(page.output())


def _write(page: FPDF, question: str, body: Body, summary: Summary) -> None:
    _heading(page, question, 17)
    figures = summary.figures
    paid = f"{figures.cost_text}, {figures.seconds:.1f} s"
    _text(page, f"{figures.at:%Y-%m-%d %H:%M} UTC, {summary.model}, {paid}", size=9, color=_FAINT)
    certain = [section for section in body.sections if section.certain]
    if not certain:
        _text(page, nothing_of(body))
    if body.comparison is not None:
        _heading(page, "In short", 13)
        _grid(page, body.comparison)
    elif len(certain) > 1:
        _listed(page, "In short", [_sentence(section.claims[0]) for section in certain])
    for number, (section, placed) in enumerate(zip(body.sections, body.laid_out, strict=True), start=1):
        _heading(page, f"{number}. {heading_of(section)}", 13)
        for piece in placed:
            if isinstance(piece, Grid):
                _grid(page, piece)
            else:
                _piece(page, piece)
    _listed(page, "What could not be answered", [f"{each.question} ({each.detail})" for each in body.unanswered])
    _listed(page, "Claims that were removed", [f"{each.text} ({each.reason})" for each in body.removed])
    if body.sources:
        _heading(page, "Sources", 13)
        _sources(page, body)


def _listed(page: FPDF, title: str, lines: Sequence[str]) -> None:
    if lines:
        _heading(page, title, 13)
    for line in lines:
        _item(page, line)


def _sources(page: FPDF, body: Body) -> None:
    rows = [
        (
            str(source.number),
            source.title + (" (outside content)" if source.kind == "web" else ""),
            place_of(source),
        )
        for source in body.sources
    ]
    _table(page, ("", "source", "where"), rows, (6, 40, 54))


def _grid(page: FPDF, grid: Grid) -> None:
    rows = [(*cells, "".join(f"[{number}]" for number in sources)) for cells, sources in grid.rows]
    width = (100 - _MARKERS_SHARE) / len(grid.heads)
    _table(page, (*grid.heads, ""), rows, (*[width] * len(grid.heads), _MARKERS_SHARE))
    page.ln(2)


def _table(page: FPDF, heads: Sequence[str], rows: Iterable[Sequence[str]], widths: tuple[float, ...]) -> None:
    page.set_font(_FONT, size=8.5)
    page.set_text_color(*_INK)
    with page.table(
        col_widths=widths,
        headings_style=FontFace(emphasis="BOLD"),
        borders_layout="HORIZONTAL_LINES",
        line_height=4.6,
        padding=1,
        text_align="LEFT",
    ) as table:
        table.row([_plain(head) for head in heads])
        for row in rows:
            table.row([_plain(cell) for cell in row])


def _heading(page: FPDF, text: str, size: float) -> None:
    page.ln(3)
    page.set_font(_FONT, "B", size)
    page.set_text_color(*_INK)
    page.multi_cell(0, size * 0.48, _plain(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    page.ln(1.5)


def _piece(page: FPDF, piece: Piece) -> None:
    line = " ".join(_sentence(claim) for claim in piece.claims)
    if piece.is_item:
        _item(page, line)
    else:
        _text(page, line)


def _item(page: FPDF, text: str) -> None:
    page.set_font(_FONT, size=10)
    page.set_text_color(*_INK)
    page.cell(5, _LINE_MM, "\u2022")
    page.multi_cell(0, _LINE_MM, _plain(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    page.ln(0.8)


def _text(page: FPDF, text: str, *, size: float = 10, color: tuple[int, int, int] = _INK) -> None:
    page.set_font(_FONT, size=size)
    page.set_text_color(*color)
    page.multi_cell(0, _LINE_MM, _plain(text), align="L", new_x=XPos.LMARGIN, new_y=YPos.NEXT)
    page.ln(1.5)


def _sentence(claim: Claim) -> str:
    return f"{shown(claim)} {''.join(f'[{number}]' for number in claim.sources)}"


def _plain(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
