"""Cohen's kappa as its author computed it."""

import pytest

from core.quality.statistics.kappa import cohens_kappa


def test_kappa_is_that_of_a_worked_example() -> None:
    # 50 applications for a grant, each read by two: 20 yes-yes, 5 yes-no, 10 no-yes, 15 no-no.
    pairs = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10 + [("no", "no")] * 15
    share, kappa, low, high = cohens_kappa(pairs)
    assert share == pytest.approx(0.7)
    assert kappa == pytest.approx(0.4)
    assert low is not None
    assert high is not None
    assert low == pytest.approx(0.146, abs=0.001)
    assert high == pytest.approx(0.654, abs=0.001)


def test_agreement_by_chance_alone_has_no_kappa() -> None:
    assert cohens_kappa([("good", "good")] * 9) == (1.0, None, None, None)
    assert cohens_kappa([("good", "bad"), ("bad", "good")])[1] == -1
