"""The reference lists every signal as the code defines it; the simulation behind its figures holds in small."""

import numpy as np

from core.quality.signals import DEFINITIONS, Signal
from tests.evals.quality.__main__ import calm_alarms, decayed
from tests.evals.quality.jobs import CALM, quotes
from tests.factories.processes import ROOT


def test_the_reference_has_every_signal() -> None:
    page = (ROOT / "docs" / "reference" / "quality.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `") and line.count("|") == 6]
    assert rows == [
        f"| `{signal.value}` | {each.kind.value} | {each.worse.value} | {'yes' if each.is_watched else 'no'}"
        f" | {each.meaning} |"
        for signal, each in DEFINITIONS.items()
    ]
    assert set(DEFINITIONS) == set(Signal)


def test_calm_series_rarely_alarm_and_eight_points_less_are_found() -> None:
    rng = np.random.default_rng(11)
    assert len(calm_alarms(rng, 60)) <= 5
    worse = {**CALM, Signal.QUOTES_VERIFIED: quotes(0.84)}
    assert len(decayed(rng, 30, worse, Signal.QUOTES_VERIFIED)) >= 26
