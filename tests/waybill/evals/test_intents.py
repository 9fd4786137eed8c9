import csv
from pathlib import Path

import numpy as np
import pytest

from core.gateway.embeddings.minilm import load_minilm
from pipelines.customer_operations.intents.examples import load_examples
from waybill.evals.files import UnreadableData
from waybill.evals.intents import calibration_error, covered, run_intents_eval


def write(folder: Path) -> None:
    halves: dict[str, list[tuple[str, str]]] = {"train": [], "test": []}
    for intent, texts in load_examples().items():
        for number, text in enumerate(texts):
            halves["test" if number % 4 == 0 else "train"].append((text, intent))
    for half, rows in halves.items():
        with (folder / f"{half}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([("text", "category"), *rows])


def test_a_data_set_is_learned_from_one_half_and_asked_of_the_other(tmp_path: Path) -> None:
    write(tmp_path)
    report = run_intents_eval(tmp_path, load_minilm(), cache=tmp_path / "cache")
    again = run_intents_eval(tmp_path, load_minilm(), cache=tmp_path / "cache")

    assert report.test > 40
    assert report.intents == len(load_examples())
    assert report.accuracy.value > 0.7
    assert again.accuracy == report.accuracy
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 2


def test_what_is_no_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableData):
        run_intents_eval(tmp_path, load_minilm())
    for half in ("train", "test"):
        (tmp_path / f"{half}.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UnreadableData):
        run_intents_eval(tmp_path, load_minilm())


def test_calibration_and_coverage_are_what_they_are_by_hand() -> None:
    confidence = np.array([0.95, 0.95, 0.55, 0.55])
    right = np.array([True, True, True, False])
    assert calibration_error(confidence, right) == pytest.approx((0.05 + 0.05) / 2)
    assert covered(confidence, right, 0.95) == 0.75
    assert covered(confidence, ~right, 0.95) == 0.0
