"""Excel workbooks (Office Open XML, SpreadsheetML): the visible content of their sheets, as tables."""

from typing import Any

from pipelines.knowledge.documents.document import Builder, Document, LeftOut
from pipelines.knowledge.documents.errors import TOO_LARGE, UnreadableDocument
from pipelines.knowledge.documents.limits import Limits
from pipelines.knowledge.documents.packages import Package, relation_of
from pipelines.knowledge.documents.tables import add_table, looks_like_header
from pipelines.knowledge.documents.xlsx_values import Styles, column_of, is_set, phonetic_free_text, shown_number, whole

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

_PICTURES = ("pic", "graphicFrame")
_COLUMNS_MAX = 16384
_MERGED_MAX = 1_000_000

Row = dict[int, str]


def read_xlsx(data: bytes, *, fallback_title: str, limits: Limits) -> Document:
    """Read a workbook: the values of its sheets, and the last results of formulas. Hidden cells are left out and named.

    Raises `UnreadableDocument`: damaged, encrypted, or with more cells than the limit.
    """
    package = Package(data, limits)
    return _Reader(package, limits).read(fallback_title)


class _Concealed:
    """The hidden parts of a sheet: all `hidden` columns, and the `columns` and `rows` of them with content."""

    def __init__(self) -> None:
        self.hidden: set[int] = set()
        self.columns: set[int] = set()
        self.rows = 0

    def add_columns(self, element: Any) -> None:
        if is_set(element, "hidden"):
            first, last = whole(element.get("min"), 1), whole(element.get("max"), 1)
            self.hidden.update(range(first, min(last, _COLUMNS_MAX) + 1))


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
        is_1904 = properties is not None and is_set(properties, "date1904")
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
        return builder.build(fallback_title=builder.title or fallback_title)

    def _sheet(self, part: str) -> None:
        rows: list[tuple[int, Row]] = []
        merged: list[str] = []
        seen = _Concealed()
        # One pass, in which the columns come before the rows and the merged cells after them.
        for element in self._package.elements(part, "col", "row", "mergeCell"):
            if element.tag == "col":
                seen.add_columns(element)
            elif element.tag == "mergeCell":
                merged.append(element.get("ref", ""))
            else:
                number = whole(element.get("r"), rows[-1][0] + 1 if rows else 1)
                row = self._row(element, seen)
                if row and is_set(element, "hidden"):
                    seen.rows += 1
                else:
                    rows.append((number, row))
        for what, count in (("hidden_row", seen.rows), ("hidden_column", len(seen.columns))):
            if count:
                self._builder.leave_out(LeftOut(what, count=count))
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

    def _row(self, element: Any, seen: "_Concealed") -> Row:
        row: Row = {}
        column = 0
        for cell in element.iter("c"):
            column = column_of(cell.get("r", "")) or column + 1
            self._count()
            text = self._value(cell)
            if text and column in seen.hidden:
                seen.columns.add(column)
            elif text:
                row[column] = text
        return row

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
            number = whole(value, -1)
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
        """Content laid over the cells: comments, pictures and charts."""
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
    """Put the text of a merged cell into every place that it covers, within the existing rows and columns."""
    by_number = dict(rows)
    width = max((max(row) for row in by_number.values() if row), default=0)
    filled = 0
    for reference in merged:
        first, _, last = reference.partition(":")
        top, bottom = (_row_of(each) for each in (first, last or first))
        left, right = column_of(first), min(column_of(last or first), width)
        text = by_number.get(top, {}).get(left)
        filled += (bottom - top + 1) * (right - left + 1)
        if not text or bottom < top or filled > _MERGED_MAX:
            continue
        for number in range(top, bottom + 1):
            row = by_number.get(number)
            # A merged cell that makes up its whole row is a title.
            if row is None or (number == top and len(row) == 1):
                continue
            for column in range(left, right + 1):
                row.setdefault(column, text)


def _row_of(reference: str) -> int:
    return whole(reference.lstrip("$ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz").lstrip("$"), 0)
