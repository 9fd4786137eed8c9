"""Fits what ``local/extractive`` weighs: ``python -m tests.evals.answers.training.train --data DIR``. Five minutes.

``DIR/answers/xquad.en.half.json`` is one half of XQuAD (google-deepmind/xquad, CC-BY-SA-4.0), of which every second
article is learned. Prints how often the first candidate is right, and how much is asserted, at several thresholds, by
cross-validation over texts, and writes the weights into the product.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.gateway.extraction import ranking
from core.gateway.extraction.evidence import FEATURES
from core.gateway.extraction.ranking import BESIDE
from tests.evals.answers.__main__ import LOOKED_AT
from tests.evals.answers.training.examples import looked_at
from tests.evals.answers.training.fit import Floats, fit_ranker, fit_verifier, out_of_fold

WEIGHTS = Path(ranking.__file__).with_name("weights.json")
_DIGITS = 5
_IS_ROW = FEATURES.index("is_row")

Mask = NDArray[np.bool_]


def _report(name: str, likely: Floats, right: Mask, full: Mask, kind: Mask) -> None:
    """`full`: where nothing was taken out."""
    for threshold in (0.4, 0.5, 0.6, 0.7, 0.8):
        asserted = (likely >= threshold) & kind
        precision = right[asserted & full].mean()
        coverage = (asserted & full & right).sum() / (right & full & kind).sum()
        silent = 1 - asserted[~full & kind].mean()
        sys.stdout.write(f"{name} from {threshold}: {precision:.3f} right, {coverage:.3f} of what is known asserted, ")
        sys.stdout.write(f"{silent:.3f} of what was taken out abstained\n")


def _cross_validated(rows: Floats, right: Mask, counts: Floats, folds: NDArray[np.int64]) -> Floats:
    """How likely each is right, by a verifier that was fitted on the other texts."""
    likely = np.zeros(len(rows))
    for fold in np.unique(folds):
        here = folds == fold
        verifier, of_rows, intercept = fit_verifier(rows[~here], right[~here], counts[~here])
        odds = rows[here] @ verifier + rows[here, _IS_ROW] * (rows[here] @ of_rows) + intercept
        likely[here] = 1 / (1 + np.exp(-odds))
    return likely


def main() -> None:
    """Read, fit, report, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    folder = parser.parse_args().data / "answers"
    examples = [each for each in looked_at(folder / "xquad.en.half.json", LOOKED_AT) if len(each.answers)]
    rows, right, counts, folds = out_of_fold(examples)
    verifier, of_rows, intercept = fit_verifier(rows, right, counts)
    ranker = fit_ranker(examples)
    likely = _cross_validated(rows, right, counts, folds)
    full = counts == 1
    sys.stdout.write(f"{full.sum()} questions, of which the first candidate answers {right[full].sum()}\n")
    is_row = rows[:, _IS_ROW] > 0
    for name, kind in (("rows", is_row), ("sentences", ~is_row)):
        _report(name, likely, right, full, kind)
    found = {
        "ranker": dict(zip(FEATURES, np.round(ranker, _DIGITS).tolist(), strict=True)),
        "verifier": dict(zip((*FEATURES, *BESIDE), np.round(verifier, _DIGITS).tolist(), strict=True)),
        "verifier_of_rows": dict(zip((*FEATURES, *BESIDE), np.round(of_rows, _DIGITS).tolist(), strict=True)),
        "intercept": round(intercept, _DIGITS),
    }
    WEIGHTS.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
