"""Validates a requested experiment; each refusal names the field."""

import math
from collections.abc import Sequence

from core.kit.errors import Unprocessable
from core.registry.experiments.definition import (
    RATIOS,
    Arm,
    ArmKind,
    Guardrail,
    NewArm,
    NewExperiment,
    RampStep,
    State,
)
from core.registry.experiments.statistics.planning import Plan, plan

ARMS_MAX = 10
STEPS_MAX = 20
NAME_MAX_CHARACTERS = 200
# The number of decimals that are stored.
DECIMALS = 8
_TOLERANCE = 1e-6
UNDECIDED = frozenset({State.ROLLED_BACK, State.PAUSED, State.PROMOTED})


def check(new: NewExperiment) -> Plan:
    """The plan of a valid experiment. Raises `Unprocessable` naming the first invalid field."""
    _check_name(new.name, "name")
    _check_arms(new.arms)
    _check_shadows(new)
    _check_guardrails(new.guardrails)
    _check_ramp(new.ramp)
    if new.canary is not None:
        if len(_served(new.arms)) != 2:  # noqa: PLR2004 - the control and one treatment
            raise wrong("canary", "a canary has one treatment beside the control")
        if not new.guardrails:
            raise wrong("guardrails", "a canary is promoted when its guardrails are kept: name one at least")
        if new.canary.undecided not in UNDECIDED:
            raise wrong("canary.undecided", "rolled_back, paused or promoted")
    return plan_of(new.arms, new.baseline, new.minimum_lift, new.alpha, new.power)


def plan_of(
    arms: Sequence[NewArm] | Sequence[Arm], baseline: float, minimum_lift: float, alpha: float, power: float
) -> Plan:
    """The plan for these arms: the treatment with the smallest weight decides. Raises `Unprocessable`."""
    control = next(arm.weight for arm in arms if arm.kind is ArmKind.CONTROL)
    # Shadows are not part of the comparison; without any treatment, the size is that of one with equal halves.
    treatments = [arm.weight for arm in arms if arm.kind is ArmKind.TREATMENT] or [control]
    share = min(treatments) / (min(treatments) + control)
    try:
        return plan(baseline, minimum_lift, alpha=alpha, power=power, treatments=len(treatments), treatment_share=share)
    except ValueError as error:
        raise wrong("plan", str(error)) from error


def check_weights(weights: Sequence[float], field: str = "arms") -> None:
    """Raise `Unprocessable` unless the weights are positive and add up to 1."""
    if not all(math.isfinite(weight) and round(weight, DECIMALS) > 0 for weight in weights):
        raise wrong(field, "every weight is above 0")
    if abs(math.fsum(weights) - 1) > _TOLERANCE:
        raise wrong(field, f"the weights add up to {math.fsum(weights):g}; let them add up to 1")


def check_share(share: float, field: str = "share") -> None:
    """Raise `Unprocessable` unless `share` is a valid share of the full weights."""
    if not math.isfinite(share) or not 0 < round(share, DECIMALS) <= 1:
        raise wrong(field, "a share of the full weights lies above 0 and at most at 1")


def wrong(field: str, message: str) -> Unprocessable:
    """A refusal of one field of the body."""
    problem = {"path": f"body.{field}", "code": "experiment_invalid", "message": message}
    return Unprocessable(f"body.{field}: {message}", errors=[problem])


def _check_name(name: str, field: str) -> None:
    if not name.strip() or len(name) > NAME_MAX_CHARACTERS or not name.isprintable():
        raise wrong(field, f"1 to {NAME_MAX_CHARACTERS} printable characters, not only blanks")


def _check_arms(arms: Sequence[NewArm]) -> None:
    if not 2 <= len(arms) <= ARMS_MAX:  # noqa: PLR2004 - nothing to compare with less
        raise wrong("arms", f"2 to {ARMS_MAX} arms: the control, and treatments or shadows")
    if sum(arm.kind is ArmKind.CONTROL for arm in arms) != 1:
        raise wrong("arms", "exactly one arm is the control")
    if len({arm.name for arm in arms}) != len(arms):
        raise wrong("arms", "every arm has a name of its own")
    for number, arm in enumerate(arms):
        _check_name(arm.name, f"arms.{number}.name")
        if (arm.model is None) != (arm.model_version_id is None):
            raise wrong(f"arms.{number}.model", "name the model and the version that answers to it instead, or neither")
        if (arm.prompt is None) != (arm.prompt_digest is None):
            raise wrong(f"arms.{number}.prompt", "name the prompt and the digest of the version, or neither")
        if arm.kind is ArmKind.SHADOW:
            check_share(arm.weight, f"arms.{number}.weight")
            if arm.model is None and arm.prompt is None:
                raise wrong(f"arms.{number}.model", "a shadow runs another version: name a model's or a prompt's")
    check_weights([arm.weight for arm in _served(arms)])


def _served(arms: Sequence[NewArm]) -> list[NewArm]:
    return [arm for arm in arms if arm.kind is not ArmKind.SHADOW]


def _check_shadows(new: NewExperiment) -> None:
    limits, served = new.shadow_limits, _served(new.arms)
    if (limits is not None) != (len(served) < len(new.arms)):
        message = (
            "say what the shadow arms may cost" if limits is None else "there is no shadow arm that it would bound"
        )
        raise wrong("shadow", message)
    if limits is not None and not 0 < limits.max_cost_usd <= limits.budget_usd:
        raise wrong("shadow.budget_usd", "all shadows together may cost at least what one of them may")
    if len(served) == 1:
        for field, given in (("guardrails", new.guardrails), ("ramp", new.ramp), ("canary", new.canary)):
            if given:
                raise wrong(field, "nothing is served but the control: this is for experiments with a treatment")


def _check_guardrails(guardrails: Sequence[Guardrail]) -> None:
    if len({each.metric for each in guardrails}) != len(guardrails):
        raise wrong("guardrails", "every metric once")
    for number, each in enumerate(guardrails):
        is_ratio = each.metric in RATIOS
        if not math.isfinite(each.bound) or (each.bound < 1 if is_ratio else not 0 <= each.bound < 1):
            message = "a ratio to the control, 1 at least" if is_ratio else "a difference from the control, from 0 to 1"
            raise wrong(f"guardrails.{number}.bound", message)


def _check_ramp(ramp: Sequence[RampStep]) -> None:
    if not ramp:
        return
    if len(ramp) > STEPS_MAX:
        raise wrong("ramp", f"at most {STEPS_MAX} steps")
    for number, step in enumerate(ramp):
        check_share(step.share, f"ramp.{number}.share")
    shares = [step.share for step in ramp]
    if shares != sorted(set(shares)) or shares[-1] != 1:
        raise wrong("ramp", "the shares rise from step to step, and the last one is 1")
