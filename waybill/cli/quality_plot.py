"""Series as sparklines of eight heights, for a terminal."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from waybill.client.models import QualityLine, QualityPoint, QualitySeries

_HEIGHTS = "▁▂▃▄▅▆▇█"
_EMPTY = "·"
_COLUMNS_MAX = 60


def sparkline(line: QualityLine, series: QualitySeries) -> str:
    """The points of a line, one character each, `·` where no job ended; the oldest are omitted if they do not fit.

    Rates and scores that vary by less than a tenth are drawn on a scale of a tenth, so that noise looks like noise.
    """
    step = timedelta(hours=1) if series.step == "hour" else timedelta(days=1)
    by_start = {point.start: point for point in line.points}
    if not by_start:
        return ""
    low = min(point.estimate for point in line.points)
    high = max(point.estimate for point in line.points)
    least = 0.1 if line.kind in {"rate", "score"} else 0.1 * abs(high)
    if high - low < least:
        low = max(0.0, (low + high - least) / 2)
        high = low + least
    return "".join(_height(by_start.get(start), low, high) for start in _starts(line.points, step))


def _starts(points: Sequence[QualityPoint], step: timedelta) -> list[datetime]:
    first, last = points[0].start, points[-1].start
    count = round((last - first) / step) + 1
    return [last - step * back for back in range(min(count, _COLUMNS_MAX) - 1, -1, -1)]


def _height(point: QualityPoint | None, low: float, high: float) -> str:
    if point is None:
        return _EMPTY
    place = (point.estimate - low) / (high - low) if high > low else 0.5
    return _HEIGHTS[min(len(_HEIGHTS) - 1, int(place * len(_HEIGHTS)))]
