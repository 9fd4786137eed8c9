from math import log2

import pytest

from waybill.evals.metrics import bootstrap_mean, ndcg, recall


def test_ndcg_by_hand() -> None:
    # Gains 3, 0, 2 against the ideal 3, 2, 1.
    expected = (3 + 2 / log2(4)) / (3 + 2 / log2(3) + 1 / log2(4))
    assert ndcg({"a": 3, "b": 2, "c": 1}, ["a", "x", "b"], 10) == pytest.approx(expected)


def test_ndcg_counts_only_to_its_depth() -> None:
    assert ndcg({"a": 1}, ["x", "a"], 1) == 0
    assert ndcg({"a": 1}, ["x", "a"], 2) == pytest.approx(1 / log2(3))
    # Two relevant documents, one place: the ideal has one place too.
    assert ndcg({"a": 1, "b": 1}, ["b"], 1) == 1


def test_negative_grades_gain_nothing() -> None:
    assert ndcg({"a": 1, "b": -1}, ["b", "a"], 10) == pytest.approx(1 / log2(3))


def test_recall_by_hand() -> None:
    grades = {"a": 1, "b": 4, "c": 0, "d": 2}
    assert recall(grades, ["a", "x", "c", "b", "d"], 4) == pytest.approx(2 / 3)


def test_nothing_relevant_measures_zero() -> None:
    assert ndcg({"a": 0}, ["a"], 10) == 0
    assert recall({"a": 0}, ["a"], 100) == 0


def test_bootstrap_encloses_the_mean_and_repeats() -> None:
    values = [0.0] * 50 + [1.0] * 50
    mean = bootstrap_mean(values)
    assert mean == bootstrap_mean(values)
    assert mean.value == 0.5
    # The standard error of this mean is 0.05.
    assert mean.low == pytest.approx(0.402, abs=0.02)
    assert mean.high == pytest.approx(0.598, abs=0.02)


def test_bootstrap_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        bootstrap_mean([])
