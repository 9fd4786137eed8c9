"""The page of scores."""

from pathlib import Path

import pytest

from tests.evals import page, scores
from tests.evals.scores import Row, publish, published

ROWS = [
    Row("fresh <questions>", "never looked at", "right of asserted", 1234, 0.95, 0.61, "before the verifier", 0.92),
    Row("old questions", "looked at", "abstained", 10, 1.0),
]


def test_rows_are_published_per_evaluation_and_the_page_shows_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scores, "FOLDER", tmp_path / "evals")
    monkeypatch.setattr(page, "PAGE", tmp_path / "quality.md")
    monkeypatch.setattr(page, "PICTURE", tmp_path / "quality.svg")
    monkeypatch.setattr(page, "ROOT", tmp_path)
    (tmp_path / "quality.md").write_text(f"# Before\n{page.BEGIN}\nold\n{page.END}\nafter\n")
    assert page.main() == 1
    publish("answers", ROWS)
    publish("answers", ROWS)
    assert published() == {"answers": ROWS}
    assert page.main() == 0
    written = (tmp_path / "quality.md").read_text()
    assert written.startswith("# Before\n")
    assert written.endswith(f"{page.END}\nafter\n")
    assert "old\n" not in written
    assert "| never looked at | right of asserted | 1,234 | **0.950** | 0.610 (before the verifier) | 0.92 |" in written
    drawn = (tmp_path / "quality.svg").read_text()
    assert "fresh &lt;questions&gt;: right of asserted (n 1,234)" in drawn
    assert drawn.count('class="unseen"') == drawn.count('class="baseline"') == drawn.count('class="mark"') == 1


def test_an_evaluation_that_was_not_run_again_keeps_its_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "FOLDER", tmp_path / "evals")
    monkeypatch.setattr(page, "PAGE", tmp_path / "quality.md")
    monkeypatch.setattr(page, "PICTURE", tmp_path / "quality.svg")
    monkeypatch.setattr(page, "ROOT", tmp_path)
    (tmp_path / "quality.md").write_text(f"{page.BEGIN}\n{page.section({'tau': ROWS, 'answers': ROWS})}{page.END}")
    publish("answers", ROWS[1:])
    assert page.main() == 0
    assert page.read((tmp_path / "quality.md").read_text()) == {"answers": ROWS[1:], "tau": ROWS}
