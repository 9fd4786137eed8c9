"""Assigns units to arms: by a keyed hash of the unit, the same in every process and after every restart."""

import hashlib
import hmac

from core.registry.experiments.definition import Arm, Experiment

_FRACTION = 1 << 64
DIGEST_BYTES = 16


def unit_digest(experiment: Experiment, unit_key: str) -> bytes:
    """The stand-in for a unit in the exposures: 128 bits of HMAC-SHA256 under the experiment's salt.

    The salt is the experiment's own, so that one user's arm in one experiment reveals nothing about another, and
    without the salt it cannot be determined whether a known user took part.
    """
    return hmac.digest(experiment.salt, f"{experiment.unit}:{unit_key}".encode(), hashlib.sha256)[:DIGEST_BYTES]


def assign(experiment: Experiment, unit_key: str) -> Arm:
    """The arm of a unit under the current weights: the first 64 bits of its digest as a fraction of 1.

    Each treatment owns an interval of [0, 1) as long as its full weight, and a ramp opens a part of it from its
    start; the rest is the control's. So a unit that has moved from the control to a treatment stays there while the
    ramp goes up, and never moves from one treatment to another.
    """
    fraction = int.from_bytes(unit_digest(experiment, unit_key)[:8]) / _FRACTION
    begin = 0.0
    for arm in experiment.treatments:
        if begin <= fraction < begin + arm.weight * experiment.share:
            return arm
        begin += arm.weight
    return experiment.control
