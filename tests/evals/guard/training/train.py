"""Trains the injection detector: ``python -m tests.evals.guard.training.train --data DIR``.

It needs what the product needs and no more, and some minutes. What is learned are the training splits below
``DIR/guard/injection``, our own texts in ``attacks`` and ``benign``, and ordinary prose; never what is in
``tests/evals/guard/held``. The bias is set by texts that were left out, so that the share of harmless ones at 0.5 or
more is `FALSE_POSITIVES` in the kind where it is highest.
"""

import argparse
import os
import random
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from core.guard.injection import model as shipped
from core.guard.injection.features import WIDTH, Row, row_of, windows
from core.guard.injection.model import WEIGHTS, Model
from core.guard.injection.normalize import fold, plain
from tests.evals.guard.sets import Sample, distinct, read_own, read_prose, read_public, without_near
from tests.evals.guard.training.regression import Matrix, Vector, fit
from tests.evals.guard.training.variation import buried, framed, variants

RIDGE = 1e-5
FALSE_POSITIVES = 0.015
# One in so many texts is left out to set the bias.
PARTS = 5
# How much all texts of a source count together.
IMPORTANCE = {"neuralchemy": 1.0, "slabs": 1.0, "own": 2.0, "variants": 1.0, "buried": 0.8, "prose": 1.5, "framed": 0.5}
VARIANTS, BURIED, FRAMED, PROSE = 2, 1500, 400, 700
MAX_PUBLIC = 6000


def parts_of(text: str) -> list[str]:
    """The windows that the detector scores of the plain text."""
    return [window for window in windows(fold(plain(text))) if window]


class Learner:
    """Samples with their rows: of a long text the first windows, each of which counts as a part of it."""

    def __init__(self, groups: Sequence[tuple[str, Sequence[Sample]]]) -> None:
        self.rows: list[Row] = []
        wanted, importance, owners = [], [], []
        self.samples = [each for _, samples in groups for each in samples]
        number = 0
        for name, samples in groups:
            for each in samples:
                parts = parts_of(each.text)[:4]
                self.rows += [row_of(part) for part in parts]
                wanted += [float(each.is_attack)] * len(parts)
                importance += [IMPORTANCE[name] / len(samples) / len(parts)] * len(parts)
                owners += [number] * len(parts)
                number += 1
        self._wanted, self._importance, self._owners = np.array(wanted), np.array(importance), np.array(owners)

    def train(self, chosen: Sequence[bool]) -> Model:
        """A model of the chosen samples."""
        mask = np.array(chosen)[self._owners]
        rows = [row for row, is_chosen in zip(self.rows, mask, strict=True) if is_chosen]
        weights = fit(Matrix.of(rows), self._wanted[mask], self._importance[mask], RIDGE)
        return Model(weights[:WIDTH].astype(np.float32), float(weights[WIDTH]))

    def margins(self, model: Model) -> Vector:
        """The highest margin among the rows of each sample."""
        found = np.full(len(self.samples), -np.inf)
        np.maximum.at(found, self._owners, np.array([model.margin(row) for row in self.rows]))
        return found


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


def train_calibrated(learner: Learner) -> Model:
    """A model of all samples, whose bias is set by another that has not seen a fifth of them, nor any made of those."""
    left_out = {each.text for each in learner.samples if zlib.crc32(each.text.encode(errors="replace")) % PARTS == 0}
    seen = [left_out.isdisjoint((each.text, *each.origins)) for each in learner.samples]
    margins = learner.margins(learner.train(seen))
    bar = threshold_of(
        [
            (each, float(margin))
            for each, margin in zip(learner.samples, margins, strict=True)
            if each.text in left_out and not each.origins
        ]
    )
    model = learner.train([True] * len(learner.samples))
    sys.stdout.write(f"bias moved from {model.bias:.2f} by {-bar:.2f}\n")
    return Model(model.weights, model.bias - bar)


def threshold_of(left_out: Sequence[tuple[Sample, float]]) -> float:
    """The margin above which at most `FALSE_POSITIVES` of the harmless texts lie: of our own, of prose, of each set."""
    bars = {}
    for kind in sorted({_kind(each) for each, _ in left_out if not each.is_attack}):
        of_kind = [margin for each, margin in left_out if _kind(each) == kind and not each.is_attack]
        found = [margin for each, margin in left_out if each.is_attack]
        bars[kind] = float(np.quantile(of_kind, 1 - FALSE_POSITIVES))
        recall = float(np.mean(np.array(found) >= bars[kind])) if found else 0.0
        sys.stdout.write(f"  {kind:16} {len(of_kind):5} harmless, bar {bars[kind]:6.2f}, recall {recall:.3f} of all\n")
    return max(bars.values())


def _kind(sample: Sample) -> str:
    return sample.source.partition("-")[0]


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
    train_calibrated(learner).save(Path(shipped.__file__).with_name(WEIGHTS))


if __name__ == "__main__":
    main()
