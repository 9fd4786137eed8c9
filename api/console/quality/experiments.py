"""``/console/quality/experiments``: results that may be looked at at any time, guardrails, promote and stop."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import parse_id
from api.console.forms import parse_form
from api.console.rendering import flash, render
from api.console.rendering import gettext as _
from api.console.routing import form, new_router, redirect, requires
from api.console.work import change, read
from api.deps import Runtime
from api.experiments.results import to_wire
from api.experiments.schemas import PromoteArm, Reason
from core.keys.principal import Principal
from core.kit.ids import EXPERIMENT
from core.registry.experiments.definition import RATIOS, TRANSITIONS, Experiment, State
from core.registry.experiments.outcomes import MEANS

router = new_router("/quality/experiments")

_LIST = "/console/quality/experiments"
_PAGE = 50


@router.get("")
@requires("experiments:read", organization_wide=True)
async def experiments(
    request: Request,
    state: Annotated[State | Literal[""], Query(description="Filter by state.")] = "",
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """Experiments, newest first."""
    before = None if cursor is None else cursors.decode(cursor)
    wanted = State(state) if state else None
    found = await read(
        request,
        lambda runtime, session, principal: runtime.experiments.list(
            session, principal, state=wanted, cursor=before, limit=_PAGE + 1
        ),
    )
    return render(
        request,
        "quality/experiments.html",
        experiments=found[:_PAGE],
        older=cursors.encode(found[_PAGE - 1].id) if len(found) > _PAGE else None,
        state=state,
        states=[each.value for each in State],
    )


@router.get("/{experiment_id}")
@requires("experiments:read", organization_wide=True)
async def experiment(request: Request, experiment_id: str) -> Response:
    """An experiment with its results."""
    found = parse_id(EXPERIMENT, experiment_id, "experiment")
    results = await change(
        request, lambda runtime, session, principal: runtime.experiments.results(session, principal, found)
    )
    shown = results.experiment
    figures = to_wire(results)
    return render(
        request,
        "quality/experiment.html",
        experiment=shown,
        results=figures,
        means=list(MEANS),
        scales={name: _scale(figures, name) for name in MEANS},
        ratios=RATIOS,
        moves={state.value for state in TRANSITIONS[shown.state]},
        promoted=next((arm.name for arm in shown.arms if arm.id == shown.promoted_arm_id), None),
    )


@router.post("/{experiment_id}/start")
@requires("experiments:write", organization_wide=True)
async def start(request: Request, experiment_id: str) -> Response:
    """Assign units."""
    found = parse_id(EXPERIMENT, experiment_id, "experiment")

    def act(runtime: Runtime, session: Session, principal: Principal) -> Experiment:
        return runtime.experiments.start(session, principal, found)

    await change(request, act)
    return _done(request, experiment_id, _("It assigns units within two seconds."))


@router.post("/{experiment_id}/pause")
@requires("experiments:write", organization_wide=True)
async def pause(request: Request, experiment_id: str) -> Response:
    """Assign no units until it is started again."""
    found, reason = parse_id(EXPERIMENT, experiment_id, "experiment"), _reason(request)

    def act(runtime: Runtime, session: Session, principal: Principal) -> Experiment:
        return runtime.experiments.pause(session, principal, found, reason)

    await change(request, act)
    return _done(request, experiment_id, _("It is paused."))


@router.post("/{experiment_id}/stop")
@requires("experiments:write", organization_wide=True)
async def stop(request: Request, experiment_id: str) -> Response:
    """End it for good."""
    found, reason = parse_id(EXPERIMENT, experiment_id, "experiment"), _reason(request)

    def act(runtime: Runtime, session: Session, principal: Principal) -> Experiment:
        return runtime.experiments.stop(session, principal, found, reason)

    await change(request, act)
    return _done(request, experiment_id, _("It has ended."))


@router.post("/{experiment_id}/rollback")
@requires("experiments:write", organization_wide=True)
async def roll_back(request: Request, experiment_id: str) -> Response:
    """Serve the control only."""
    found, reason = parse_id(EXPERIMENT, experiment_id, "experiment"), _reason(request)

    def act(runtime: Runtime, session: Session, principal: Principal) -> Experiment:
        return runtime.experiments.roll_back(session, principal, found, reason)

    await change(request, act)
    return _done(request, experiment_id, _("Treatments are no longer served."))


@router.post("/{experiment_id}/promote")
@requires("experiments:write", organization_wide=True)
async def promote(request: Request, experiment_id: str) -> Response:
    """Serve one arm to everyone."""
    found, fields = parse_id(EXPERIMENT, experiment_id, "experiment"), form(request)
    body = parse_form(PromoteArm, {"arm": fields.get("arm", ""), "reason": fields.get("reason") or None})

    def act(runtime: Runtime, session: Session, principal: Principal) -> Experiment:
        return runtime.experiments.promote(session, principal, found, body.arm, body.reason)

    await change(request, act)
    return _done(request, experiment_id, _("The arm “%(arm)s” is served to everyone.", arm=body.arm))


def _reason(request: Request) -> str | None:
    return parse_form(Reason, {"reason": form(request).get("reason") or None}).reason


def _done(request: Request, experiment_id: str, text: str) -> Response:
    return flash(redirect(request, f"{_LIST}/{experiment_id}"), text)


def _scale(figures: Mapping[str, Any], name: str) -> tuple[float, float, float]:
    """How far the arms' values reach, and the largest difference either way."""
    values = [end for arm in figures["arms"] for end in _ends(arm["means"][name])]
    differences = [end for each in figures["comparisons"] for end in _ends(each["differences"][name])]
    most = max(values, default=1.0)
    return min([0.0, *values]), most or 1.0, max((abs(end) for end in differences), default=1.0) or 1.0


def _ends(interval: Mapping[str, Any]) -> list[float]:
    return [interval[end] for end in ("estimate", "low", "high") if interval[end] is not None]
