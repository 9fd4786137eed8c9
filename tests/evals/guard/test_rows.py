"""What the page shows of the guard's evaluations, and when it is below its mark."""

import pytest

from tests.evals.guard import classes, injection, personal
from tests.evals.scores import missed
from waybill.evals.guard.injections import Scored
from waybill.evals.guard.scores import Counts, Score


def scored(name: str, *, is_attack: bool, above: int) -> Scored:
    return Scored(name, is_attack, [0.9] * above + [0.1] * (100 - above), 0.0, 1)


@pytest.mark.parametrize(
    ("name", "is_attack", "above", "split", "share", "is_below"),
    [
        ("held: attacks-personas", True, 80, "looked at", 0.8, False),
        ("held: attacks-last-author", True, 70, "never looked at", 0.7, True),
        ("held: benign-newest-author", False, 3, "never looked at", 0.97, True),
        ("others: banking77", False, 2, "never looked at", 0.98, False),
        ("ours: messages", False, 1, "never looked at", 0.99, True),
        ("public: slabs", True, 10, "never looked at", 0.1, False),
    ],
)
def test_attacks_are_to_be_found_and_harmless_texts_left_alone(
    *, name: str, is_attack: bool, above: int, split: str, share: float, is_below: bool
) -> None:
    row = injection.row_of(scored(name, is_attack=is_attack, above=above))
    assert (row.group, row.split, row.n) == (name, split, 100)
    assert row.score == pytest.approx(share)
    assert bool(missed([row])) is is_below


def test_personal_data_has_a_row_for_each_kind_with_a_mark_beside_presidio() -> None:
    found = Counts(spans=10, found=9, findings=9, right=9)
    ours = Score(dict.fromkeys(personal.MARKS, found), 0.95, 20, ["phone '1'"])
    theirs = Score({"person": Counts(10, 5, 5, 5)}, 0.5, 20, ["phone '1'"] * 30)
    rows = {row.measure: row for row in personal.rows_of("messages", ours, theirs)}
    assert rows["person, F2"].baseline == pytest.approx(5 / 9)
    assert (rows["card, F2"].baseline, rows["card, F2"].baseline_name) == (0.0, "Presidio as it comes")
    clean = rows["clean texts, nothing found, at least"]
    assert (clean.score, clean.baseline, clean.mark) == (0.95, 0.0, 0.85)
    assert [row.measure for row in missed(rows.values())] == ["card, F2"]
    assert missed(personal.rows_of("presidio-research, tuned", ours, None)) == []


def test_texts_without_anything_to_protect_get_no_class() -> None:
    assert missed([classes.row_of("near", 40, 0.05), classes.row_of("version", 40, 0.8)]) == []
    assert len(missed([classes.row_of("near", 40, 0.06), classes.row_of("version", 40, 0.7)])) == 2
