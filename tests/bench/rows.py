"""One row of ``build/bench.json``."""

from dataclasses import asdict, dataclass
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Row:
    """A figure, its baseline where there is one, and whether it holds its target."""

    name: str
    value: float
    unit: str
    baseline: float | None = None
    ratio: float | None = None
    target: str | None = None
    holds: bool | None = None

    def as_json(self) -> dict[str, Any]:
        """The row as a dictionary."""
        return asdict(self)


def compared(
    name: str,
    unit: str,
    values: list[float],
    baselines: list[float],
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Row:
    """A row of medians of interleaved rounds; the ratio is the median of the rounds' ratios."""
    ratio = median(value / baseline for value, baseline in zip(values, baselines, strict=True))
    target, holds = None, None
    if at_least is not None:
        target, holds = f"at least {at_least} times the baseline", ratio >= at_least
    elif at_most is not None:
        target, holds = f"at most {at_most} times the baseline", ratio <= at_most
    return Row(name, round(median(values), 3), unit, round(median(baselines), 3), round(ratio, 3), target, holds)


def bounded(name: str, unit: str, value: float, *, at_most: float) -> Row:
    """A row with an absolute bound."""
    return Row(name, round(value, 3), unit, None, None, f"at most {at_most} {unit}", value <= at_most)
