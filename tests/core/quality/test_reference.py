"""The reference lists every signal as the code defines it; the simulation behind its figures holds in small."""

import re

import numpy as np
import pytest

from core.quality.signals import DEFINITIONS, Signal
from tests.evals.quality.__main__ import calm_alarms, decayed, most_that_can_be_found
from tests.evals.quality.agreement import read, without_a_model
from tests.evals.quality.jobs import quotes
from tests.factories.processes import ROOT


def test_the_reference_has_every_signal() -> None:
    page = (ROOT / "docs" / "reference" / "quality.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if re.match(r"\| `\w+` \|", line) and line.count("|") == 6]
    assert rows == [
        f"| `{signal.value}` | {each.kind.value} | {each.worse.value} | {'yes' if each.is_watched else 'no'}"
        f" | {each.meaning} |"
        for signal, each in DEFINITIONS.items()
    ]
    assert set(DEFINITIONS) == set(Signal)


def test_calm_series_rarely_alarm_and_eight_points_less_are_found() -> None:
    rng = np.random.default_rng(11)
    assert len(calm_alarms(rng, 60)) <= 5
    assert len(decayed(rng, 30, {Signal.QUOTES_VERIFIED: quotes(0.84)})) >= 26


def test_what_no_test_can_beat_grows_with_the_baseline() -> None:
    assert most_that_can_be_found(0.8, 0.08, 2000) == pytest.approx(0.89, abs=0.01)
    assert most_that_can_be_found(0.8, 0.08) == pytest.approx(0.94, abs=0.01)
    assert most_that_can_be_found(0.8, 0.0) == pytest.approx(0.0045)


def test_quotes_that_stand_in_the_document_do_not_make_an_answer_right() -> None:
    cases = read()
    assert len(cases) == 100
    assert sum(case["label"] == "good" for case in cases) == 50
    opinion = without_a_model(cases)["quotes_verified"]
    said = [(case["label"], each) for case, each in zip(cases, opinion, strict=True) if each is not None]
    # Nothing good is called bad, and wrong answers with true quotes are called good: what judges and people are for.
    assert ("good", "bad") not in said
    assert said.count(("bad", "good")) > 20
