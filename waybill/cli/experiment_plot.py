"""Plots of results: intervals in the terminal, and as self-contained SVG (no script, font or link)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from waybill.client.models import Interval, Results

_PANELS = (
    ("success", "success rate"),
    ("quality", "quality, 0 to 1"),
    ("cost", "cost per job, US dollars"),
    ("latency", "latency of successes, mean seconds"),
    ("latency_p95", "latency of successes, 95th percentile, seconds"),
)
_WIDTH, _NAMES, _VALUES, _ROW, _HEAD, _FOOT = 760, 170, 190, 26, 34, 26
_COLUMNS = 48
_MARGIN = 0.06


@dataclass(frozen=True, slots=True)
class Panel:
    """One outcome: an interval per arm, on one axis."""

    title: str
    rows: Sequence[tuple[str, Interval]]
    low: float
    high: float

    def place(self, value: float) -> float:
        """Position of `value` on the axis, from 0 to 1; values beyond an end are clamped to it."""
        return min(1.0, max(0.0, (value - self.low) / (self.high - self.low)))


def panels(results: Results) -> Iterator[Panel]:
    """Outcomes that at least one arm has. Unknown bounds extend beyond the axis."""
    for name, title in _PANELS:
        rows = [
            (arm.arm, arm.latency_p95 if name == "latency_p95" else arm.means[name])
            for arm in results.arms
            if name == "latency_p95" or name in arm.means
        ]
        known = [
            value
            for _, each in rows
            for value in (each.low, each.estimate, each.high)
            if value is not None and each.units
        ]
        if known:
            margin = (max(known) - min(known)) * _MARGIN or abs(max(known)) * _MARGIN or _MARGIN
            yield Panel(title, rows, max(0.0, min(known) - margin), max(known) + margin)


def words(interval: Interval) -> str:
    """``0.212 (0.198 to 0.227)``; a question mark where there is no bound."""
    if interval.estimate is None:
        return "no data"
    low, high = (("?" if end is None else f"{end:.4g}") for end in (interval.low, interval.high))
    return f"{interval.estimate:.4g} ({low} to {high})"


def lines(results: Results) -> Iterator[str]:
    """The plot for a terminal, one line per arm and outcome: ``├──●────┤``."""
    width = max((len(arm.arm) for arm in results.arms), default=0)
    for panel in panels(results):
        yield panel.title
        for name, interval in panel.rows:
            yield f"  {name:<{width}}  {_line(panel, interval)}  {words(interval)}"
        yield f"  {'':<{width}}  {panel.low:<.4g}{panel.high:>{_COLUMNS - len(f'{panel.low:.4g}')}.4g}"
        yield ""


def _line(panel: Panel, interval: Interval) -> str:
    if interval.estimate is None:
        return " " * _COLUMNS

    def at(value: float) -> int:
        return round(panel.place(value) * (_COLUMNS - 1))

    begin = 0 if interval.low is None else at(interval.low)
    end = _COLUMNS - 1 if interval.high is None else at(interval.high)
    drawn = [" "] * _COLUMNS
    drawn[begin : end + 1] = "─" * (end + 1 - begin)
    drawn[begin] = "╌" if interval.low is None else "├"
    drawn[end] = "╌" if interval.high is None else "┤"
    drawn[at(interval.estimate)] = "●"
    return "".join(drawn)


def svg(results: Results) -> str:
    """The plot as one SVG document, which follows the reader's light or dark preference."""
    drawn, y = [], _HEAD + 10
    for panel in panels(results):
        drawn.append(_draw(panel, y))
        y += _HEAD + len(panel.rows) * _ROW + _FOOT
    progress = results.progress
    subtitle = f"{results.state}; {progress.units:,} of {progress.units_planned:,} planned units"
    if results.sample_ratio.is_mismatched:
        subtitle += "; SAMPLE RATIO MISMATCH: do not trust these results"
    title = escape(results.name)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {y}" role="img" aria-label="{title}">'
        f"<title>{title}</title><style>{_STYLE}</style>"
        f'<rect class="page" width="{_WIDTH}" height="{y}"/>'
        f'<text class="title" x="12" y="22">{title}</text>'
        f'<text class="dim" x="12" y="40">{escape(subtitle)}</text>{"".join(drawn)}</svg>\n'
    )


_STYLE = (
    "text{font:13px sans-serif;fill:#222}.title{font-size:16px;font-weight:bold}.dim{fill:#666}.page{fill:#fff}"
    ".axis,.interval,.end{stroke:#888;stroke-width:1}.interval,.end{stroke:#2468b0;stroke-width:3}"
    ".open{stroke-dasharray:3 3}circle{fill:#2468b0}"
    "@media(prefers-color-scheme:dark){text{fill:#eee}.dim{fill:#aaa}.page{fill:#181818}"
    ".interval,.end{stroke:#7ab0ee}circle{fill:#7ab0ee}}"
)


def _draw(panel: Panel, y: int) -> str:
    left, room = _NAMES, _WIDTH - _NAMES - _VALUES

    def at(value: float) -> float:
        return left + panel.place(value) * room

    drawn = [f'<text x="12" y="{y + 22}" font-weight="bold">{escape(panel.title)}</text>']
    y += _HEAD
    for name, interval in panel.rows:
        middle = y + _ROW / 2
        shown = name if len(name) <= 22 else name[:21] + "…"  # noqa: PLR2004 - what the width holds
        drawn.append(
            f'<text x="{left - 10}" y="{middle + 4}" text-anchor="end">{escape(shown)}'
            f"<title>{escape(name)}</title></text>"
        )
        drawn.append(f'<text x="{left + room + 12}" y="{middle + 4}">{words(interval)}</text>')
        if interval.estimate is not None:
            begin = float(left) if interval.low is None else at(interval.low)
            end = float(left + room) if interval.high is None else at(interval.high)
            is_open = interval.low is None or interval.high is None
            drawn.append(
                f'<line class="interval{" open" if is_open else ""}" x1="{begin:.1f}" y1="{middle}" x2="{end:.1f}"'
                f' y2="{middle}"/><circle cx="{at(interval.estimate):.1f}" cy="{middle}" r="5"/>'
            )
            drawn += [
                f'<line class="end" x1="{place:.1f}" y1="{middle - 5}" x2="{place:.1f}" y2="{middle + 5}"/>'
                for place, bound in ((begin, interval.low), (end, interval.high))
                if bound is not None
            ]
        y += _ROW
    drawn.append(f'<line class="axis" x1="{left}" y1="{y}" x2="{left + room}" y2="{y}"/>')
    drawn.append(f'<text class="dim" x="{left}" y="{y + 16}">{panel.low:.4g}</text>')
    drawn.append(f'<text class="dim" x="{left + room}" y="{y + 16}" text-anchor="end">{panel.high:.4g}</text>')
    return "".join(drawn)
