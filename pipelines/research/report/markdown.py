"""The report as Markdown. Content of documents, the web or a model is escaped: it can only be text."""

import re
from collections.abc import Sequence

from pipelines.research.report.comparing import shown
from pipelines.research.report.compose import Body, Piece
from pipelines.research.report.rows import Grid
from pipelines.research.report.summary import Summary
from pipelines.research.schemas import Claim, Section, Source, Unanswered

_SPECIAL = re.compile(r"([\\`*_\[\]<>#|~!&])")
_ADDRESS = re.compile(r"https?://[\w.~:/?#@!$&'()*+,;=%-]+", re.ASCII)
_STARTS_LIST = re.compile(r"^(\s*)([-+]|\d+[.)])(\s)")


def render_markdown(question: str, body: Body, summary: Summary) -> str:
    """The whole report; ends with a line break."""
    return "".join(f"{block}\n\n" for block in blocks_of(question, body, summary)).rstrip("\n") + "\n"


def blocks_of(question: str, body: Body, summary: Summary) -> list[str]:
    """The report, block by block, so that it can be streamed."""
    blocks = [f"# {escape(question)}"]
    certain = [section for section in body.sections if section.certain]
    if not certain:
        blocks.append(nothing_of(body))
    if body.comparison is not None:
        blocks += ["## In short", _grid(body.comparison)]
    elif len(certain) > 1:
        first = [f"- {_sentence(section.claims[0])}" for section in certain]
        blocks += ["## In short", "\n".join(first)]
    for number, (section, placed) in enumerate(zip(body.sections, body.laid_out, strict=True), start=1):
        blocks.append(f"## {number}. {escape(heading_of(section))}")
        blocks += _placed(placed)
    if body.unanswered:
        blocks += ["## What could not be answered", "\n".join(_missing(each) for each in body.unanswered)]
    if body.removed:
        lines = [f"- {escape(each.text)} ({escape(each.reason)})" for each in body.removed]
        blocks += ["## Claims that were removed", "\n".join(lines)]
    if body.sources:
        blocks += ["## Sources", _table(body.sources)]
    blocks += ["## How this report was made", "\n".join(_made(summary))]
    return blocks


def nothing_of(body: Body) -> str:
    """The text of a report in which nothing answers the question."""
    said = "Nothing of this question could be answered from the sources that were searched."
    return f"{said} These passages may help." if body.sections else said


def heading_of(section: Section) -> str:
    """The heading; for a section that does not answer its sub-question, with a note on how it may help."""
    return section.heading if section.certain else f"What may help: {section.heading}"


def escape(text: str) -> str:
    """`text` as Markdown that shows it: one line, no markup, no links, no HTML."""
    line = _SPECIAL.sub(r"\\\1", " ".join(text.split()))
    # Bare addresses become links in many renderers.
    line = re.sub(r"(?i)\b(https?|ftp)(?=:)", r"\1&#8203;", line)
    return _STARTS_LIST.sub(r"\1\\\2\3", line)


def place_of(source: Source) -> str:
    """The location of a source in its document, or its address."""
    if source.url is not None:
        return source.url
    parts = [f"page {source.page}" if source.page is not None else "", source.section or ""]
    return ", ".join(part for part in parts if part)


def _sentence(claim: Claim) -> str:
    return f"{escape(shown(claim))} {''.join(f'[{number}]' for number in claim.sources)}"


def _placed(placed: Sequence[Piece | Grid]) -> list[str]:
    """Paragraphs, tables, and runs of items as one list each."""
    blocks: list[str] = []
    items: list[str] = []
    for piece in placed:
        if isinstance(piece, Grid):
            blocks += ["\n".join(items), _grid(piece)] if items else [_grid(piece)]
            items = []
            continue
        line = " ".join(_sentence(claim) for claim in piece.claims)
        if piece.is_item:
            items.append(f"- {line}")
            continue
        if items:
            blocks.append("\n".join(items))
            items = []
        blocks.append(line)
    return [*blocks, "\n".join(items)] if items else blocks


def _grid(grid: Grid) -> str:
    lines = [_cells([*map(escape, grid.heads), ""]), _cells(["---"] * (len(grid.heads) + 1))]
    lines += [
        _cells([*map(escape, cells), "".join(f"[{number}]" for number in sources)]) for cells, sources in grid.rows
    ]
    return "\n".join(lines)


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _missing(each: Unanswered) -> str:
    return f"- {escape(each.question)} ({escape(each.detail)})"


def _table(sources: Sequence[Source]) -> str:
    lines = ["| | source | where |", "|---|---|---|"]
    for source in sources:
        title = escape(source.title) + (" (outside content)" if source.kind == "web" else "")
        lines.append(f"| {source.number} | {title} | {_where(source)} |")
    return "\n".join(lines)


def _where(source: Source) -> str:
    """A location as text; an address as a link, if it holds only characters of addresses."""
    is_link = source.url is not None and _ADDRESS.fullmatch(source.url)
    return f"<{source.url}>" if is_link else escape(place_of(source))


def _made(summary: Summary) -> list[str]:
    searches = f"{summary.searches}, of which {summary.failed_searches} failed"
    claims = f"{summary.quoted} quoted word for word, {summary.entailed} in other words, {summary.removed} removed"
    return [
        f"- Sub-questions: {summary.sub_questions}; searches: {searches}",
        f"- Claims: {claims}; rounds of corrections: {summary.rounds}",
        f"- Model: {escape(summary.model)}",
        f"- Cost: {summary.figures.cost_text}; time: {summary.figures.seconds:.1f} s",
        f"- Finished: {summary.figures.at:%Y-%m-%d %H:%M} UTC",
    ]
