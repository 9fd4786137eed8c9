"""Trains the injection detector: ``python -m tests.evals.guard.training.train --data DIR``.

It needs what the product needs and no more, and some minutes. What is learned are the training splits below
``DIR/guard/injection``, our own texts in ``attacks`` and ``benign``, and ordinary prose; never what is in
``tests/evals/guard/held``. The bias is set by texts of the larger sources that were not learned, so that the share of
harmless ones at 0.5 or more is `FALSE_POSITIVES` in the source where it is highest.
"""

import argparse
import os
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.guard.injection import model as shipped
from core.guard.injection.features import WIDTH, Row, row_of, windows
from core.guard.injection.model import WEIGHTS, Model
from core.guard.injection.normalize import fold, plain
from tests.evals.guard.sets import distinct, read_own, read_prose, read_public, without_near
from tests.evals.guard.training.regression import Matrix, fit
from tests.evals.guard.training.variation import buried, framed, variants
from waybill.evals.guard.injections import Sample

RIDGE = 1e-5
FALSE_POSITIVES = 0.015
CALIBRATION, PROSE_LIMIT = 400, 100_000
# How much all texts of a source count together.
IMPORTANCE = {"neuralchemy": 1.0, "slabs": 1.0, "own": 5.0, "variants": 1.0, "buried": 0.8, "prose": 2.0, "framed": 0.5}
VARIANTS, BURIED, FRAMED, PROSE = 2, 1500, 400, 700
MAX_PUBLIC = 6000


def parts_of(text: str) -> list[str]:
    """The windows that the detector scores of the plain text."""
    return [window for window in windows(fold(plain(text))) if window]


class Learner:
    """Samples with their rows: of a long text the first windows, each of which counts as a part of it."""

    def __init__(self, groups: Sequence[tuple[str, Sequence[Sample]]]) -> None:
        self.rows: list[Row] = []
        wanted, importance = [], []
        for name, samples in groups:
            for each in samples:
                parts = parts_of(each.text)[:4]
                self.rows += [row_of(part) for part in parts]
                wanted += [float(each.is_attack)] * len(parts)
                importance += [IMPORTANCE[name] / len(samples) / len(parts)] * len(parts)
        self._wanted, self._importance = np.array(wanted), np.array(importance)

    def train(self) -> Model:
        """A model of all samples, without calibration."""
        weights = fit(Matrix.of(self.rows), self._wanted, self._importance, RIDGE)
        return Model(weights[:WIDTH].astype(np.float32), float(weights[WIDTH]))


def chosen(public: Sequence[Sample]) -> list[Sample]:
    """At most `MAX_PUBLIC` of a set: the larger one is uniform."""
    chance, kept = random.Random(9), []
    for source in sorted({each.source for each in public}):
        of_source = [each for each in public if each.source == source]
        kept += chance.sample(of_source, min(MAX_PUBLIC, len(of_source)))
    return kept


def learned(public: Sequence[Sample], own: Sequence[Sample], prose: Sequence[Sample]) -> Learner:
    """What a training sees of these."""
    groups: list[tuple[str, Sequence[Sample]]] = [
        (name, [each for each in public if each.source == name]) for name in ("neuralchemy", "slabs")
    ]
    groups.append(("prose", prose))
    if own:
        groups += [
            ("own", own),
            ("variants", list(variants(own, VARIANTS, 1))),
            ("buried", list(buried([*own, *prose, *public[:: 1 + len(public) // (2 * len(own))]], BURIED, 2))),
            ("framed", list(framed(FRAMED, 4))),
        ]
    return Learner([(name, samples) for name, samples in groups if samples])


def train_calibrated(learner: Learner, unlearned: Sequence[Sample]) -> Model:
    """A model of all samples, whose bias is set by harmless texts that are not among them."""
    model = learner.train()
    bars = {}
    for source in sorted({each.source for each in unlearned}):
        of_source = [each.text for each in unlearned if each.source == source]
        margins = [max(model.margin(row_of(part)) for part in parts_of(text)) for text in of_source if text.strip()]
        bars[source] = float(np.quantile(margins, 1 - FALSE_POSITIVES))
        sys.stdout.write(f"  {source:16} {len(margins):5} harmless, bar {bars[source]:6.2f}\n")
    bar = max(bars.values())
    sys.stdout.write(f"bias moved from {model.bias:.2f} by {-bar:.2f}\n")
    return Model(model.weights, model.bias - bar)


def read_unlearned(data: Path, public: Sequence[Sample]) -> list[Sample]:
    """Harmless texts that `chosen` and the limit of prose leave out, at most `CALIBRATION` of a source."""
    used = {each.text for each in (*chosen(public), *read_prose(data, PROSE))}
    chance, left_out = random.Random(21), [*public, *read_prose(data, PROSE_LIMIT)]
    left_out = [each for each in left_out if not each.is_attack and each.text not in used]
    kept: list[Sample] = []
    for source in sorted({each.source for each in left_out}):
        of_source = [each for each in left_out if each.source == source]
        kept += chance.sample(of_source, min(CALIBRATION, len(of_source)))
    return kept


def main() -> None:
    """Train, calibrate and write the weights."""
    parser = argparse.ArgumentParser(prog="tests.evals.guard.training.train", description=__doc__)
    parser.add_argument("--data", type=Path, default=os.environ.get("WAYBILL_EVALS_DATA"), required=False)
    data: Path | None = parser.parse_args().data
    if data is None:
        parser.error("name the folder with the sets: --data DIR")
    held = [*read_own(held=True), *read_public(data, "test")]
    own = without_near(distinct(read_own(held=False)), held)
    public = without_near(distinct(read_public(data, "train")), read_own(held=True))
    learner = learned(chosen(public), own, read_prose(data, PROSE))
    sys.stdout.write(f"{len(public)} public and {len(own)} own texts, {len(learner.rows)} rows\n")
    train_calibrated(learner, read_unlearned(data, public)).save(Path(shipped.__file__).with_name(WEIGHTS))


if __name__ == "__main__":
    main()
