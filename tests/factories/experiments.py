"""Experiments as plain data, as the repository would hand them out."""

from collections.abc import Mapping
from datetime import UTC, datetime

from core.kit.ids import new_id
from core.registry.experiments.definition import Arm, ArmKind, Canary, Experiment, Guardrail, RampStep, State, Unit
from core.registry.experiments.statistics.planning import plan

SALT = bytes(range(32))
TWO_ARMS = {"new": 0.5, "old": 0.5}


def experiment(
    weights: Mapping[str, float] = TWO_ARMS,
    *,
    unit: Unit = Unit.JOB,
    share: float = 1.0,
    salt: bytes = SALT,
    guardrails: tuple[Guardrail, ...] = (),
    ramp: tuple[RampStep, ...] = (),
    canary: Canary | None = None,
) -> Experiment:
    """A running experiment over `weights`; the last arm is the control."""
    experiment_id = new_id()
    *treatments, control = (
        Arm(new_id(), experiment_id, name, ArmKind.TREATMENT, weight) for name, weight in weights.items()
    )
    arms = (*treatments, Arm(control.id, experiment_id, control.name, ArmKind.CONTROL, control.weight))
    return Experiment(
        id=experiment_id,
        organization_id=new_id(),
        project_id=None,
        capability="probe.act",
        name="test",
        unit=unit,
        state=State.RUNNING,
        salt=salt,
        arms=arms,
        plan=plan(0.2, 0.05, treatments=len(treatments)),
        share=share,
        allocation=1,
        guardrails=guardrails,
        ramp=ramp,
        canary=canary,
        created_at=datetime(2026, 11, 1, tzinfo=UTC),
        started_at=datetime(2026, 11, 1, tzinfo=UTC),
        ended_at=None,
        reason=None,
        promoted_arm_id=None,
    )
