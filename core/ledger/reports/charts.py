"""Bar charts as self-contained SVG: no script, no font, no URL."""

from collections.abc import Sequence
from decimal import Decimal
from html import escape
from typing import NamedTuple

from core.kit.money import ZERO, cost_words, format_money

_WIDTH = 720
_COLUMNS_HEIGHT = 160
_ROW_HEIGHT = 24
_NAME_WIDTH = 260
_VALUE_WIDTH = 110


class Bar(NamedTuple):
    """A name and its cost, as far as that is known."""

    name: str
    value: Decimal
    priced: bool = True

    @property
    def words(self) -> str:
        """The value as text for people."""
        return cost_words(self.value, priced=self.priced)


def columns(title: str, bars: Sequence[Bar]) -> str:
    """Vertical bars, one per name, for a series of days. Each shows its value on hover."""
    largest = _largest(bars)
    step = _WIDTH / max(len(bars), 1)
    drawn = [f'<text x="0" y="11">up to {format_money(max(largest, ZERO))} USD</text>']
    for number, bar in enumerate(bars):
        name = escape(bar.name)
        height = _share(bar.value, largest) * (_COLUMNS_HEIGHT - 30)
        x = number * step
        drawn.append(
            f'<rect x="{x + step * 0.1:.1f}" y="{_COLUMNS_HEIGHT - 20 - height:.1f}" width="{step * 0.8:.1f}"'
            f' height="{height:.1f}"><title>{name}: {bar.words} USD</title></rect>'
        )
        if len(bars) <= 16 or number % 5 == 0:  # noqa: PLR2004 - as many names as fit
            drawn.append(f'<text x="{x + step / 2:.1f}" y="{_COLUMNS_HEIGHT - 6}" text-anchor="middle">{name}</text>')
    return _picture(title, _COLUMNS_HEIGHT, drawn)


def rows(title: str, bars: Sequence[Bar]) -> str:
    """Horizontal bars with their names to the left and their values to the right."""
    largest = _largest(bars)
    room = _WIDTH - _NAME_WIDTH - _VALUE_WIDTH
    drawn = []
    for number, bar in enumerate(bars):
        name = bar.name
        y = number * _ROW_HEIGHT
        width = _share(bar.value, largest) * room
        shown = name if len(name) <= 40 else name[:39] + "…"  # noqa: PLR2004 - what the width holds
        drawn.append(
            f'<text x="{_NAME_WIDTH - 8}" y="{y + 16}" text-anchor="end">{escape(shown)}<title>{escape(name)}</title>'
            f'</text><rect x="{_NAME_WIDTH}" y="{y + 4}" width="{width:.1f}" height="{_ROW_HEIGHT - 8}"></rect>'
            f'<text x="{_NAME_WIDTH + width + 6:.1f}" y="{y + 16}">{bar.words}</text>'
        )
    return _picture(title, max(len(bars), 1) * _ROW_HEIGHT, drawn)


def _largest(bars: Sequence[Bar]) -> Decimal:
    return max((bar.value for bar in bars), default=ZERO)


def _share(value: Decimal, largest: Decimal) -> float:
    # A bar is a picture: the figure beside it is exact. A negative sum (corrections) has no bar.
    return float(value / largest) if largest > 0 and value > 0 else 0.0


def _picture(title: str, height: int, drawn: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}"><title>{escape(title)}</title>'
        f"{''.join(drawn)}</svg>"
    )
