"""``/v1/experiments``: create, read, list, start, pause, stop, promote, roll back, ramp."""

from collections.abc import Callable
from typing import Annotated, Any, Concatenate, ParamSpec
from uuid import UUID

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import parse_id, respond_json
from api.deps import get_runtime
from api.experiments import schemas
from api.experiments.schemas import (
    CreateExperiment,
    Experiment,
    ExperimentPage,
    PromoteArm,
    Reason,
    SetWeights,
    to_wire,
)
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, created, problems
from api.problem import invalid
from api.routing import caller, new_router, requires
from api.work import Cursor, answer_once, change, per_page, read, respond_page
from core.keys.idempotency import Answer
from core.keys.principal import Principal
from core.kit.ids import EXPERIMENT, MODEL_VERSION, PROJECT, decode, encode
from core.kit.json_values import dumps
from core.registry.experiments.definition import (
    ArmKind,
    Canary,
    Guardrail,
    NewArm,
    NewExperiment,
    RampStep,
    ShadowLimits,
    State,
)
from core.registry.experiments.definition import Experiment as ExperimentRecord
from pipelines.registry import manifests

router = new_router("/v1/experiments", "experiments")

_CHANGED: dict[int | str, dict[str, Any]] = {200: {"description": "The updated experiment.", "headers": REPLAYED}}
_KEYED = {"parameters": [IDEMPOTENCY_KEY]}
ExperimentId = Annotated[str, Path(description="The experiment's id.", examples=["exp_01jd3q8v9tfq8a1b2c3d4e5f6g"])]
_Arguments = ParamSpec("_Arguments")


@router.post(
    "",
    status_code=201,
    response_model=Experiment,
    summary="Create an experiment",
    description=(
        "Creates a draft, which assigns no units until it is started. The response says how many units the plan needs."
    ),
    responses={
        **created("Created.", "The experiment."),
        **problems(400, 404, 408, 409, 413, 415),
    },
    openapi_extra=_KEYED,
)
@requires("experiments:write", organization_wide=True)
async def create_experiment(request: Request, body: CreateExperiment) -> Response:
    """A new experiment."""
    new = _to_new(body)
    runtime, principal = get_runtime(request), caller(request)

    def produce(session: Session) -> Answer:
        made = runtime.experiments.create(session, principal, new)
        return Answer(201, dumps(to_wire(made)), f"/v1/experiments/{encode(EXPERIMENT, made.id)}")

    return await answer_once(request, produce, await request.body())


def _to_new(body: CreateExperiment) -> NewExperiment:
    if body.capability not in manifests():
        known = ", ".join(sorted(manifests()))
        message = f"not available; available capabilities: {known}"
        raise invalid([{"path": "body.capability", "code": "capability_unknown", "message": message}])
    shadows = [number for number, arm in enumerate(body.arms) if arm.kind is ArmKind.SHADOW]
    if shadows and not manifests()[body.capability].shadowable:
        message = (
            f"{body.capability} may have effects or ask people, so it cannot have shadow arms; they are available"
            f" for: {', '.join(sorted(name for name, manifest in manifests().items() if manifest.shadowable))}"
        )
        raise invalid(
            [{"path": f"body.arms.{shadows[0]}.kind", "code": "capability_not_shadowable", "message": message}]
        )
    return NewExperiment(
        name=body.name,
        capability=body.capability,
        project_id=None if body.project_id is None else _decode(PROJECT, body.project_id, "project_id"),
        unit=body.unit,
        arms=tuple(_to_arm(arm, number) for number, arm in enumerate(body.arms)),
        baseline=body.plan.baseline,
        minimum_lift=body.plan.minimum_lift,
        alpha=body.plan.alpha,
        power=body.plan.power,
        guardrails=tuple(Guardrail(each.metric, each.bound) for each in body.guardrails),
        ramp=tuple(RampStep(step.share, step.hold_seconds, step.hold_units) for step in body.ramp),
        canary=None
        if body.canary is None
        else Canary(body.canary.window_seconds, body.canary.units_max, body.canary.undecided),
        shadow_limits=None if body.shadow is None else ShadowLimits(body.shadow.max_cost_usd, body.shadow.budget_usd),
    )


def _to_arm(arm: schemas.NewArm, number: int) -> NewArm:
    version = arm.model_version_id
    return NewArm(
        name=arm.name,
        kind=arm.kind,
        weight=arm.weight,
        model=arm.model,
        model_version_id=None
        if version is None
        else _decode(MODEL_VERSION, version, f"arms.{number}.model_version_id"),
        prompt=arm.prompt,
        prompt_digest=arm.prompt_digest,
    )


def _decode(prefix: str, text: str, field: str) -> UUID:
    try:
        return decode(prefix, text)
    except ValueError as error:
        message = f"must be an id of the form {prefix}_…"
        raise invalid([{"path": f"body.{field}", "code": "invalid_id", "message": message}]) from error


@router.get(
    "",
    response_model=ExperimentPage,
    summary="List experiments",
    responses={200: {"description": "A page of results, newest first."}, **problems()},
)
@requires("experiments:read", organization_wide=True)
async def list_experiments(
    request: Request,
    state: Annotated[State | None, Query(description="Filter by state.")] = None,
    limit: Annotated[int, per_page("Experiments")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of the organization's experiments."""
    before = cursors.decode_given(cursor)
    found = await read(request, get_runtime(request).experiments.list, state=state, cursor=before, limit=limit + 1)
    return respond_page(found, limit, to_wire)


@router.get(
    "/{experiment_id}",
    response_model=Experiment,
    summary="Read an experiment",
    responses={200: {"description": "The experiment."}, **problems(404)},
)
@requires("experiments:read", organization_wide=True)
async def read_experiment(request: Request, experiment_id: ExperimentId) -> Response:
    """Read an experiment."""
    found = parse_id(EXPERIMENT, experiment_id, "experiment")
    shown = await read(request, get_runtime(request).experiments.get, found)
    return respond_json(to_wire(shown))


@router.post(
    "/{experiment_id}/start",
    response_model=Experiment,
    summary="Start an experiment",
    description="Starts assigning units, or resumes after a pause. Takes effect within two seconds.",
    responses={**_CHANGED, **problems(400, 404, 409)},
    openapi_extra=_KEYED,
)
@requires("experiments:write", organization_wide=True)
async def start_experiment(request: Request, experiment_id: ExperimentId) -> Response:
    """Start an experiment."""
    return await _change(request, experiment_id, b"", get_runtime(request).experiments.start)


@router.post(
    "/{experiment_id}/pause",
    response_model=Experiment,
    summary="Pause an experiment",
    description=(
        "Stops assigning units until the experiment is started again. Meanwhile jobs run as they would without"
        " the experiment."
    ),
    responses={**_CHANGED, **problems(400, 404, 408, 409, 413, 415)},
    openapi_extra=_KEYED,
)
@requires("experiments:write", organization_wide=True)
async def pause_experiment(request: Request, experiment_id: ExperimentId, body: Reason) -> Response:
    """Pause an experiment."""
    act = get_runtime(request).experiments.pause
    return await _change(request, experiment_id, await request.body(), act, body.reason)


@router.post(
    "/{experiment_id}/stop",
    response_model=Experiment,
    summary="Stop an experiment",
    description="Ends the experiment permanently. A promoted arm is no longer served.",
    responses={**_CHANGED, **problems(400, 404, 408, 409, 413, 415)},
    openapi_extra=_KEYED,
)
@requires("experiments:write", organization_wide=True)
async def stop_experiment(request: Request, experiment_id: ExperimentId, body: Reason) -> Response:
    """Stop an experiment."""
    act = get_runtime(request).experiments.stop
    return await _change(request, experiment_id, await request.body(), act, body.reason)


@router.post(
    "/{experiment_id}/promote",
    response_model=Experiment,
    summary="Promote an arm",
    description="Serves the arm to the whole audience until the experiment is stopped.",
    responses={**_CHANGED, **problems(400, 404, 408, 409, 413, 415)},
    openapi_extra=_KEYED,
)
@requires("experiments:write", organization_wide=True)
async def promote_experiment(request: Request, experiment_id: ExperimentId, body: PromoteArm) -> Response:
    """Promote an arm."""
    act = get_runtime(request).experiments.promote
    return await _change(request, experiment_id, await request.body(), act, body.arm, body.reason)


@router.post(
    "/{experiment_id}/rollback",
    response_model=Experiment,
    summary="Roll an experiment back",
    description="Stops serving treatments. Takes effect within two seconds.",
    responses={**_CHANGED, **problems(400, 404, 408, 409, 413, 415)},
    openapi_extra=_KEYED,
)
@requires("experiments:write", organization_wide=True)
async def roll_experiment_back(request: Request, experiment_id: ExperimentId, body: Reason) -> Response:
    """Roll an experiment back to the control."""
    act = get_runtime(request).experiments.roll_back
    return await _change(request, experiment_id, await request.body(), act, body.reason)


@router.put(
    "/{experiment_id}/weights",
    response_model=Experiment,
    summary="Change an experiment's weights",
    description=(
        "`share` ramps the treatments: while it rises, units only move from the control to a treatment."
        " `weights` moves the borders between arms. Exposed units keep their arm in both cases."
    ),
    responses={200: {"description": "The updated experiment."}, **problems(400, 404, 408, 409, 413, 415)},
)
@requires("experiments:write", organization_wide=True)
async def set_weights(request: Request, experiment_id: ExperimentId, body: SetWeights) -> Response:
    """Change the share or weights."""
    found = parse_id(EXPERIMENT, experiment_id, "experiment")
    if body.share is None and body.weights is None:
        message = "send share, weights, or both"
        raise invalid([{"path": "body", "code": "experiment_invalid", "message": message}])
    set_weights = get_runtime(request).experiments.set_weights
    return respond_json(to_wire(await change(request, set_weights, found, share=body.share, weights=body.weights)))


async def _change(
    request: Request,
    experiment_id: str,
    body: bytes,
    act: Callable[Concatenate[Session, Principal, UUID, _Arguments], ExperimentRecord],
    *arguments: _Arguments.args,
    **named: _Arguments.kwargs,
) -> Response:
    found, principal = parse_id(EXPERIMENT, experiment_id, "experiment"), caller(request)

    def produce(session: Session) -> Answer:
        return Answer(200, dumps(to_wire(act(session, principal, found, *arguments, **named))))

    return await answer_once(request, produce, body)
