"""``python -m tests.evals.page``: the scores of all evaluations as a section of ``docs/reference/quality.md``, drawn.

It shows what is below ``build/evals``, and of an evaluation that is not there what the page shows of it already;
``make evals`` ends with it.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from html import escape

from tests.evals.scores import ROOT, Row, published

PAGE = ROOT / "docs" / "reference" / "quality.md"
PICTURE = PAGE.with_name("quality.svg")
_HEADING = re.compile(r"### `make evals ARGS=(\w+)`")
_BASELINE = re.compile(r"([0-9.]+) \((.*)\)")
BEGIN, END = "<!-- scores: begin, written by `make evals` -->", "<!-- scores: end -->"
_INTRODUCTION = """\
Each score is the share of right ones among *n*. *Split* says whether the rules were written with a view of the items: a
score on items that were looked at shows that nothing broke since, one on others shows what to expect. *Baseline* is
something simpler on the same items; below the *mark* the evaluation fails.
"""
_WIDTH, _LABEL, _ROW, _HEAD = 860, 430, 22, 34
_BAR = _WIDTH - _LABEL - 60


def main() -> int:
    """Write the section and its picture."""
    found = published()
    if not found:
        sys.stderr.write("no evaluation has published scores; run `make evals` first\n")
        return 1
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    shown, _, after = rest.partition(END)
    every = dict(sorted({**read(shown), **found}.items()))
    PICTURE.write_text(draw(every), encoding="utf-8")
    PAGE.write_text(f"{before}{BEGIN}\n\n{section(every)}\n{END}{after}", encoding="utf-8")
    sys.stdout.write(f"{PAGE.relative_to(ROOT)} and {PICTURE.name} show {', '.join(found)} as measured now\n")
    return 0


def read(section: str) -> dict[str, list[Row]]:
    """The rows of a section by evaluation, to the digits that it shows."""
    found: dict[str, list[Row]] = {}
    for line in section.splitlines():
        if heading := _HEADING.fullmatch(line):
            rows = found.setdefault(heading[1], [])
        elif line.startswith("| ") and "**" in line:
            rows.append(_row([cell.strip() for cell in line.strip("|").split("|")]))
    return found


def _row(cells: Sequence[str]) -> Row:
    group, split, measure, count, score, beside, mark = cells
    baseline = _BASELINE.fullmatch(beside)
    return Row(
        group,
        split,
        measure,
        int(count.replace(",", "")),
        float(score.strip("*")),
        None if baseline is None else float(baseline[1]),
        "" if baseline is None else baseline[2],
        float(mark) if mark else None,
    )


def section(found: Mapping[str, Sequence[Row]]) -> str:
    """The Markdown of all tables."""
    parts = [_INTRODUCTION, f"![Scores of the evaluations beside their baselines]({PICTURE.name})\n"]
    for name, rows in found.items():
        parts.append(f"### `make evals ARGS={name}`\n")
        parts.append("| set | split | measure | n | score | baseline | mark |\n|---|---|---|---|---|---|---|")
        parts.extend(_line(row) for row in rows)
        parts.append("")
    return "\n".join(parts)


def _line(row: Row) -> str:
    baseline = "" if row.baseline is None else f"{row.baseline:.3f} ({row.baseline_name})"
    mark = "" if row.mark is None else f"{row.mark:.2f}" if round(row.mark, 2) == row.mark else f"{row.mark:.3f}"
    return f"| {row.group} | {row.split} | {row.measure} | {row.n:,} | **{row.score:.3f}** | {baseline} | {mark} |"


def draw(found: Mapping[str, Sequence[Row]]) -> str:
    """A bar for each row, a line across it where its baseline is, and a tick where its mark is; plain SVG."""
    drawn: list[str] = []
    top = 8
    for name, rows in found.items():
        drawn.append(f'<text class="head" x="0" y="{top + 20}">{escape(name)}</text>')
        top += _HEAD
        for row in rows:
            drawn.extend(_bar(row, top))
            top += _ROW
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top + 30}" role="img"'
        ' aria-label="Scores of the evaluations">'
        "<style>text{font:12px sans-serif;fill:#24292f}.head{font-weight:bold;font-size:14px}.seen{fill:#9db7d5}"
        ".unseen{fill:#2f6fb5}.baseline{stroke:#c2410c;stroke-width:3}.mark{stroke:#24292f;stroke-dasharray:2}</style>"
        f'<rect width="{_WIDTH}" height="{top + 30}" fill="#ffffff"/>{"".join(drawn)}'
        f'<text x="0" y="{top + 20}">dark: never looked at; light: looked at; red: baseline;'
        " dashed: mark</text>"
        "</svg>\n"
    )


def _bar(row: Row, top: int) -> list[str]:
    label = f"{row.group}: {row.measure} (n {row.n:,})"
    shown = label if len(label) <= 68 else label[:67] + "…"
    seen = "unseen" if row.split.startswith("never") else "seen"
    lines = [
        f'<text x="{_LABEL - 8}" y="{top + 15}" text-anchor="end">{escape(shown)}</text>',
        f'<rect class="{seen}" x="{_LABEL}" y="{top + 4}" width="{row.score * _BAR:.1f}" height="{_ROW - 8}"/>',
        f'<text x="{_LABEL + _BAR + 8}" y="{top + 15}">{row.score:.3f}</text>',
    ]
    for kind, place in (("baseline", row.baseline), ("mark", row.mark)):
        if place is not None:
            x = f"{_LABEL + place * _BAR:.1f}"
            lines.append(f'<line class="{kind}" x1="{x}" x2="{x}" y1="{top + 2}" y2="{top + _ROW - 2}"/>')
    return lines


if __name__ == "__main__":
    sys.exit(main())
