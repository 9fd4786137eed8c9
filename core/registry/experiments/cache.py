"""Finds a job's arm, without a query while the cached experiment is fresh."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from uuid import UUID

from core.kit.db import Executor
from core.kit.memory import Memory
from core.registry.experiments import exposures, repository
from core.registry.experiments.assignment import assign, unit_digest
from core.registry.experiments.definition import Arm, Experiment, State, Unit

# The longest time until a written change is in force everywhere.
_REMEMBER_SECONDS = 2.0
_REMEMBERED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Assignment:
    """An arm for one unit. `counts`: the job takes part in a comparison; False under a promoted experiment."""

    experiment: Experiment
    arm: Arm
    unit_digest: bytes
    counts: bool

    def touches_model(self, name: str) -> bool:
        """Whether some arm overrides the model called `name`: then resolving it is an exposure."""
        return any(arm.model == name for arm in (*self.experiment.arms, self.arm))

    def touches_prompt(self, name: str) -> bool:
        """Whether some arm overrides the prompt called `name`."""
        return any(arm.prompt == name for arm in (*self.experiment.arms, self.arm))


class ExperimentCache:
    """Experiments in force, cached for at most two seconds. Safe in threads."""

    def __init__(self) -> None:
        self._remembered: Memory[tuple[UUID, UUID, str], Experiment | None] = Memory(
            _REMEMBER_SECONDS, entries_max=_REMEMBERED_MAX
        )
        self._shadowing: Memory[UUID, Experiment | None] = Memory(_REMEMBER_SECONDS, entries_max=_REMEMBERED_MAX)

    def arm_for(
        self,
        session: Executor,
        organization_id: UUID,
        project_id: UUID,
        capability: str,
        units: Mapping[Unit, str],
    ) -> Assignment | None:
        """The arm of a job whose units are `units`, or None when no experiment is in force, or the unit is unknown.

        Pure except for reading the experiment. Nothing is written: a job takes part from `expose` on.
        """
        experiment = self._in_force(session, organization_id, project_id, capability)
        if experiment is None:
            return None
        if experiment.state is State.PROMOTED:
            arm = next((arm for arm in experiment.arms if arm.id == experiment.promoted_arm_id), experiment.control)
            return Assignment(experiment, arm, b"", counts=False)
        key = units.get(experiment.unit)
        if key is None:
            return None
        return Assignment(experiment, assign(experiment, key), unit_digest(experiment, key), counts=True)

    def shadow(self, session: Executor, organization_id: UUID, arm_id: UUID) -> Assignment | None:
        """The arm of a shadow job. It is not counted in any served arm."""
        experiment = self._shadowing.get(
            session, arm_id, lambda executor: repository.of_arm(executor, organization_id, arm_id)
        ).value
        return None if experiment is None else Assignment(experiment, experiment.arm(arm_id), b"", counts=False)

    def expose(
        self,
        session: Executor,
        assignment: Assignment,
        *,
        project_id: UUID,
        job_id: UUID,
        attempt: int | None = None,
    ) -> Assignment:
        """Record that the job takes part; returns the assignment with the arm that counts.

        A retry keeps the job's first arm, and a unit keeps its first arm, whatever the weights are by then. If the
        experiment has ended since it was read, a job without an arm gets the control, and is not counted.
        """
        if not assignment.counts:
            return assignment
        arm = exposures.expose(
            session,
            assignment.experiment,
            project_id,
            job_id,
            assignment.arm,
            assignment.unit_digest,
            attempt,
        )
        if arm is None:
            return replace(assignment, arm=assignment.experiment.control, counts=False)
        return replace(assignment, arm=arm)

    def evict(self) -> None:
        """Read every experiment again from now on."""
        self._remembered.evict()
        self._shadowing.evict()

    def _in_force(
        self, session: Executor, organization_id: UUID, project_id: UUID, capability: str
    ) -> Experiment | None:
        return self._remembered.get(
            session,
            (organization_id, project_id, capability),
            lambda executor: repository.in_force(executor, organization_id, project_id, capability),
        ).value
