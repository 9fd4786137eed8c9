"""Excel workbooks (Office Open XML, SpreadsheetML): what is seen of their sheets, as tables."""

from collections.abc import Iterator
from typing import Any

from pipelines.knowledge.documents.document import Builder, Document, LeftOut
from pipelines.knowledge.documents.errors import TOO_LARGE, UnreadableDocument
from pipelines.knowledge.documents.limits import Limits
from pipelines.knowledge.documents.packages import Package, relation_of
from pipelines.knowledge.documents.tables import add_table, looks_like_header
from pipelines.knowledge.documents.xlsx_values import Styles, column_of, phonetic_free_text, shown_number

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_PICTURES = ("pic", "graphicFrame")
_COLUMNS_MAX = 16384
_MERGED_MAX = 10_000

Row = dict[int, str]


def read_xlsx(data: bytes, *, fallback_title: str, limits: Limits) -> Document:
    """Read a workbook: the values of its sheets, of formulas the last result. What is hidden is left out and named.

    Raises `UnreadableDocument`: damaged, encrypted, or with more cells than are read.
    """
    package = Package(data, limits)
    return _Reader(package, limits).read(fallback_title)


class _Reader:
    """Reads sheet after sheet."""

    def __init__(self, package: Package, limits: Limits) -> None:
        self._package = package
        self._limits = limits
        self._cells = 0
        self._builder = Builder(MEDIA_TYPE)
        self._main = package.main("xl/workbook.xml")
        workbook = package.tree(self._main)
        properties = workbook.find("workbookPr")
        is_1904 = properties is not None and properties.get("date1904") in {"1", "true"}
        self._sheets = list(workbook.iter("sheet"))
        self._texts = [
            phonetic_free_text(each)
            for part in package.related(self._main, "sharedStrings")
            for each in package.elements(part, "si")
        ]
        styles = [package.tree(part) for part in package.related(self._main, "styles")]
        self._styles = Styles(styles[0] if styles else None, is_1904=is_1904)

    def read(self, fallback_title: str) -> Document:
        builder = self._builder
        builder.title = self._package.title()
        relations = self._package.relations(self._main)
        for sheet in self._sheets:
            name = sheet.get("name", "")
            kind, part = relations.get(relation_of(sheet), ("", ""))
            if sheet.get("state", "visible") != "visible":
                builder.leave_out(LeftOut("hidden_sheet", name))
            elif kind == "worksheet" and part in self._package.names:
                builder.heading(name, 1)
                self._sheet(part)
            else:
                builder.leave_out(LeftOut("picture", name))
        if any(name.endswith("vbaProject.bin") for name in self._package.names):
            builder.leave_out(LeftOut("macros"))
        return builder.build(fallback_title=builder.title or fallback_title)

    def _sheet(self, part: str) -> None:
        hidden = set(self._hidden_columns(part))
        merged = [each.get("ref", "") for each in self._package.elements(part, "mergeCell")]
        rows = list(self._rows(part, hidden))
        _fill_merged(rows, merged)
        block: list[Row] = []
        previous = 0
        for number, row in rows:
            if block and (number > previous + 1 or not row):
                self._block(block)
                block = []
            if row:
                block.append(row)
            previous = number
        self._block(block)
        self._beside(part)

    def _hidden_columns(self, part: str) -> Iterator[int]:
        for column in self._package.elements(part, "col"):
            if column.get("hidden") in {"1", "true"}:
                first, last = int(column.get("min", "1")), int(column.get("max", "1"))
                yield from range(first, min(last, _COLUMNS_MAX) + 1)

    def _rows(self, part: str, hidden_columns: set[int]) -> Iterator[tuple[int, Row]]:
        number = 0
        hidden_rows = 0
        concealed: set[int] = set()
        for element in self._package.elements(part, "row"):
            number = int(element.get("r") or number + 1)
            row: Row = {}
            column = 0
            for cell in element.iter("c"):
                column = column_of(cell.get("r", "")) or column + 1
                self._count()
                text = self._value(cell)
                if text and column in hidden_columns:
                    concealed.add(column)
                elif text:
                    row[column] = text
            if row and element.get("hidden") in {"1", "true"}:
                hidden_rows += 1
            else:
                yield number, row
        if hidden_rows:
            self._builder.leave_out(LeftOut("hidden_row", count=hidden_rows))
        if concealed:
            self._builder.leave_out(LeftOut("hidden_column", count=len(concealed)))

    def _count(self) -> None:
        self._cells += 1
        if self._cells > self._limits.cells:
            detail = f"This workbook has more than {self._limits.cells:,} cells, which is more than are read."
            raise UnreadableDocument(detail, code=TOO_LARGE)

    def _value(self, cell: Any) -> str:
        kind = cell.get("t", "n")
        if kind == "inlineStr":
            inline = cell.find("is")
            return "" if inline is None else phonetic_free_text(inline)
        value = cell.findtext("v")
        if not value:
            if cell.find("f") is not None and kind != "str":
                self._builder.leave_out(LeftOut("formula_without_value", cell.findtext("f") or ""))
            return ""
        if kind == "s":
            number = int(value) if value.isdecimal() else -1
            return self._texts[number] if 0 <= number < len(self._texts) else ""
        if kind == "b":
            return "TRUE" if value == "1" else "FALSE"
        return shown_number(value, self._styles.format_of(cell.get("s"))) if kind == "n" else value

    def _block(self, rows: list[Row]) -> None:
        """A run of rows without an empty one between them: titles above, then a table."""
        while rows and len(rows[0]) == 1 and (len(rows) == 1 or len(rows[1]) != 1):
            self._builder.paragraph(next(iter(rows.pop(0).values())))
        columns = sorted({column for row in rows for column in row})
        if len(columns) * len(rows) > self._limits.cells:
            raise UnreadableDocument("The tables of this workbook are too wide to be read.", code=TOO_LARGE)
        grid = [[row.get(column, "") for column in columns] for row in rows]
        named = len(columns) > 1 and bool(grid) and looks_like_header(grid[0], grid[1:])
        if len(columns) == 1:
            named = len(grid) > 1
        add_table(self._builder, grid[:1] if named else [], grid[1:] if named else grid)

    def _beside(self, part: str) -> None:
        """What lies over the cells: comments, pictures and charts."""
        for _, target in self._package.relations(part).values():
            if target not in self._package.names or not target.endswith(".xml"):
                continue
            if "/comments" in target or "/threadedComments/" in target:
                for comment in self._package.tree(target).iter("comment", "threadedComment"):
                    self._builder.leave_out(LeftOut("comment", phonetic_free_text(comment)))
            elif "/drawings/" in target:
                for picture in self._package.tree(target).iter(*_PICTURES):
                    named = next(picture.iter("cNvPr"), None)
                    self._builder.leave_out(LeftOut("picture", "" if named is None else named.get("descr", "")))


def _fill_merged(rows: list[tuple[int, Row]], merged: list[str]) -> None:
    """Put the text of a merged cell into every place that it covers, within the rows that there are."""
    by_number = dict(rows)
    for reference in merged[:100_000]:
        first, _, last = reference.partition(":")
        top, bottom = (_row_of(each) for each in (first, last or first))
        left, right = column_of(first), min(column_of(last or first), column_of(first) + 200)
        text = by_number.get(top, {}).get(left)
        if not text or (bottom - top + 1) * (right - left + 1) > _MERGED_MAX:
            continue
        width = max((max(row) for row in by_number.values() if row), default=0) if right > left else right
        for number in range(top, bottom + 1):
            row = by_number.get(number)
            # A merged cell that makes up its whole row is a title.
            if row is None or (number == top and len(row) == 1):
                continue
            for column in range(left, min(right, width) + 1):
                row.setdefault(column, text)


def _row_of(reference: str) -> int:
    digits = reference.lstrip("$ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    return int(digits) if digits.isdecimal() else 0
