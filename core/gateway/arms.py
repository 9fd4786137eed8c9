"""The experiment arm of one attempt of a job. Looked up once and kept for the lifetime of the attempt."""

from threading import Lock
from uuid import UUID

from core.capability import JobContext
from core.registry.experiments.cache import Assignment, ExperimentCache
from core.registry.experiments.definition import Arm, Unit


class AttemptArms:
    """The arm of one attempt. Thread-safe.

    The job joins the experiment when it first needs something that an arm overrides. From then on it stays on the arm
    that was recorded, which is also the arm of its earlier attempts.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked = False
        self._assignment: Assignment | None = None
        self._is_exposed = False

    def version_of(self, experiments: ExperimentCache | None, ctx: JobContext, model: str) -> UUID | None:
        """The model version with which the attempt's arm replaces the name `model`, if any."""
        with self._lock:
            assignment = self._assigned(experiments, ctx)
            if experiments is None or assignment is None or not assignment.touches_model(model):
                return None
            arm = self._expose(experiments, ctx, assignment)
            return arm.model_version_id if arm.model == model else None

    def prompt_of(self, experiments: ExperimentCache | None, ctx: JobContext, prompt: str) -> str | None:
        """The digest with which the attempt's arm replaces the prompt called `prompt`, if any."""
        with self._lock:
            assignment = self._assigned(experiments, ctx)
            if experiments is None or assignment is None or not assignment.touches_prompt(prompt):
                return None
            arm = self._expose(experiments, ctx, assignment)
            return arm.prompt_digest if arm.prompt == prompt else None

    def _assigned(self, experiments: ExperimentCache | None, ctx: JobContext) -> Assignment | None:
        executor = ctx.executor
        if experiments is not None and executor is not None and ctx.shadow_arm_id is not None and not self._asked:
            self._assignment = experiments.shadow(executor, ctx.organization_id, ctx.shadow_arm_id)
            self._asked = True
        if experiments is not None and executor is not None and not self._asked:
            units = {
                Unit.JOB: str(ctx.job_id),
                Unit.PROJECT: str(ctx.project_id),
                # The other facts that a context holds about the caller.
                **{Unit(name): key for name, key in ctx.units.items()},
            }
            self._assignment = experiments.arm_for(executor, ctx.organization_id, ctx.project_id, ctx.capability, units)
            self._asked = True
        return self._assignment

    def _expose(self, experiments: ExperimentCache, ctx: JobContext, assignment: Assignment) -> Arm:
        executor = ctx.executor
        if not self._is_exposed and executor is not None:
            assignment = self._assignment = experiments.expose(
                executor, assignment, project_id=ctx.project_id, job_id=ctx.job_id, attempt=ctx.attempt
            )
            self._is_exposed = True
        return assignment.arm
