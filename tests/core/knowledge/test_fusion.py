from math import log, sqrt

import pytest

from core.knowledge import fusion


def test_fusion_by_hand() -> None:
    dense = {"a": 0.9, "b": 0.5, "c": 0.1}
    lexical = {"b": 8.0, "d": 4.0}
    # Normalised: dense a 1, b .5, c 0; lexical b 1, d 0.
    expected = {"a": 0.6, "b": 0.6 * 0.5 + 0.4, "c": 0.0, "d": 0.0}
    assert fusion.fuse(dense, lexical, dense_share=0.6) == pytest.approx(expected)


def test_a_single_candidate_is_the_best_of_its_list() -> None:
    assert fusion.normalised({"only": -3.0}) == {"only": 1.0}
    assert fusion.fuse({}, {}) == {}


def test_rarity_by_hand() -> None:
    assert fusion.inverse_document_frequency(10, 2) == pytest.approx(log(1 + 8.5 / 2.5))
    assert fusion.inverse_document_frequency(10, 10) > 0


def test_feedback_moves_the_query_and_keeps_its_length() -> None:
    moved = fusion.feedback_query([1.0, 0.0], [[0.0, 1.0]], [2.0])
    assert sqrt(sum(component**2 for component in moved)) == pytest.approx(1)
    assert moved[1] / moved[0] == pytest.approx(fusion.FEEDBACK_SHARE / (1 - fusion.FEEDBACK_SHARE))


def test_feedback_from_nothing_leaves_the_query() -> None:
    assert fusion.feedback_query([0.6, 0.8], [], []) == [0.6, 0.8]


def test_best_breaks_ties_the_same_way_each_time() -> None:
    assert fusion.best({"b": 1.0, "a": 1.0, "c": 2.0}, 2) == ["c", "a"]
