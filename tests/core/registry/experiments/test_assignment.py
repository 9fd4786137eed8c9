import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from core.registry.experiments.assignment import assign, unit_digest
from core.registry.experiments.definition import Unit
from tests.factories.experiments import SALT, experiment
from tests.factories.processes import ROOT

UNITS = 200_000
# The 99.9 % points of chi squared with 1 and 3 degrees of freedom.
CHI_SQUARED = {1: 10.83, 3: 16.27}


@pytest.mark.parametrize(
    ("weights", "share"),
    [
        ({"new": 0.5, "old": 0.5}, 1.0),
        ({"new": 0.01, "old": 0.99}, 1.0),
        ({"a": 0.1, "b": 0.2, "c": 0.3, "old": 0.4}, 1.0),
        ({"a": 0.1, "b": 0.2, "c": 0.3, "old": 0.4}, 0.25),
    ],
)
def test_arms_get_what_their_weights_promise(weights: dict[str, float], share: float) -> None:
    tested = experiment(weights, share=share)
    counted = Counter(assign(tested, f"job-{number}").id for number in range(UNITS))
    promised = tested.weights()
    assert sum(promised.values()) == pytest.approx(1)
    statistic = sum((counted[arm] - UNITS * weight) ** 2 / (UNITS * weight) for arm, weight in promised.items())
    assert statistic < CHI_SQUARED[len(promised) - 1]


def test_experiments_are_independent_of_each_other() -> None:
    first, second = experiment(), experiment(salt=bytes(32))
    both = Counter((assign(first, str(number)).name, assign(second, str(number)).name) for number in range(UNITS // 4))
    expected = UNITS / 16
    assert sum((count - expected) ** 2 / expected for count in both.values()) < CHI_SQUARED[3]


def test_a_ramp_moves_units_from_the_control_only() -> None:
    full = experiment({"a": 0.3, "b": 0.3, "old": 0.4})
    shares = [replace(full, share=share) for share in (0.01, 0.1, 0.5, 1.0)]
    for number in range(5_000):
        path = [assign(each, str(number)).name for each in shares]
        left = [name for name in path if name != "old"]
        assert len(set(left)) <= 1
        assert path == ["old"] * (len(path) - len(left)) + left


def test_the_arm_is_the_same_in_another_process() -> None:
    tested = experiment({"a": 0.25, "b": 0.25, "old": 0.5}, unit=Unit.END_USER)
    script = (
        "from core.registry.experiments.assignment import assign\n"
        "from core.registry.experiments.definition import Unit\n"
        "from tests.factories.experiments import experiment\n"
        "tested = experiment({'a': 0.25, 'b': 0.25, 'old': 0.5}, unit=Unit.END_USER)\n"
        "print(','.join(assign(tested, str(number)).name for number in range(2000)))"
    )
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.strip().split(",") == [assign(tested, str(number)).name for number in range(2000)]


def test_the_digest_is_pinned() -> None:
    """Another digest would move every unit of every running experiment to another place."""
    assert unit_digest(experiment(unit=Unit.END_USER), "ada").hex() == "93f89102a4b158c4f48b52202ce328e9"


def test_the_unit_and_the_salt_are_part_of_the_digest() -> None:
    by_user, by_key = experiment(unit=Unit.END_USER), experiment(unit=Unit.KEY)
    assert unit_digest(by_user, "x") != unit_digest(by_key, "x")
    assert unit_digest(by_user, "x") != unit_digest(replace(by_user, salt=SALT[::-1]), "x")
    assert "salt" not in repr(by_user)
