"""``/v1/quality/runs`` and ``/v1/quality/gates``: runs of versions on data sets, and promotion gates."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api import cursors
from api.answers import parse_id, respond_json
from api.deps import get_runtime
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.routing import caller, new_router, requires
from api.work import Cursor, answer_once, change, per_page, read, respond_page
from core.keys.idempotency import Answer
from core.kit.clock import isoformat
from core.kit.ids import BATCH, MODEL, QUALITY_RUN, encode
from core.kit.json_values import dumps
from core.quality.gates import repository, service
from core.quality.gates.records import Gate, NewRun, Run

router = new_router("/v1/quality", "quality")

_COUNT_MAX = 50_000
ModelId = Annotated[str, Path(description="The model's id.", examples=["mdl_01jd3q8v9tfq8a1b2c3d4e5f6g"])]
_Name = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]


class RecordRun(BaseModel):
    """The result of a batch that ran a data set."""

    model_config = ConfigDict(extra="forbid")

    batch_id: str = Field(min_length=1, max_length=100, examples=["batch_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    dataset: _Name = Field(description="The name that gates refer to.", examples=["golden"])
    dataset_digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="SHA-256 of the file.")
    checked: int = Field(ge=0, le=_COUNT_MAX, description="Number of cases with an expectation.")
    passed: int = Field(ge=0, le=_COUNT_MAX, description="Of these, cases that met it.")


class QualityRun(BaseModel):
    """A recorded run."""

    id: str
    batch_id: str
    dataset: str
    dataset_digest: str
    model_version: str = Field(description="The version that the batch's jobs used.")
    cases: int
    checked: int
    passed: int
    recorded_by: str | None
    recorded_at: datetime


class QualityRunPage(BaseModel):
    """A page of runs."""

    data: list[QualityRun]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


class SetGate(BaseModel):
    """What a version's last run must show before the version can be promoted."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"dataset": "golden", "min_share": 0.9, "min_cases": 50}]}
    )

    dataset: _Name
    min_share: float = Field(strict=True, ge=0, le=1, description="Minimum share of the checked cases that must pass.")
    min_cases: int = Field(1, strict=True, ge=1, le=_COUNT_MAX, description="Minimum number of checked cases.")


class QualityGate(BaseModel):
    """A gate."""

    model_id: str
    dataset: str
    min_share: float
    min_cases: int
    set_by: str | None
    set_at: datetime


class QualityGateList(BaseModel):
    """The gates of the organization's models."""

    data: list[QualityGate]


@router.post(
    "/runs",
    status_code=201,
    response_model=QualityRun,
    summary="Record a run of a data set",
    description=(
        "Records the result of an ended batch of the project. The number of passed cases is the caller's"
        " statement, and audited. The version is the one that the batch's jobs used; all must have used the"
        " same."
    ),
    responses={201: {"description": "Recorded.", "headers": REPLAYED}, **problems(400, 404, 408, 409, 413, 415)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("quality:write")
async def record_quality_run(request: Request, body: RecordRun) -> Response:
    """Record a run."""
    batch_id = parse_id(BATCH, body.batch_id, "batch")
    new = NewRun(batch_id, body.dataset, body.dataset_digest, body.checked, body.passed)
    runtime, principal = get_runtime(request), caller(request)
    return await answer_once(
        request,
        lambda session: Answer(201, dumps(_run(service.record_run(session, principal, runtime.batches, new)))),
        await request.body(),
    )


@router.get(
    "/runs",
    response_model=QualityRunPage,
    summary="List runs of data sets",
    responses={200: {"description": "Lists runs, newest first."}, **problems()},
)
@requires("quality:read")
async def list_quality_runs(
    request: Request,
    model_version: Annotated[str | None, Query(max_length=200, description="Filter by version.")] = None,
    limit: Annotated[int, per_page("Runs")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of the project's runs."""
    before = cursors.decode_given(cursor)
    found = await read(request, repository.list_runs, model_version=model_version, cursor=before, limit=limit + 1)
    return respond_page(found, limit, _run)


@router.get(
    "/gates",
    response_model=QualityGateList,
    summary="List gates",
    responses={200: {"description": "Lists the gates of the organization's models."}, **problems()},
)
@requires("quality:read", organization_wide=True)
async def list_quality_gates(request: Request) -> Response:
    """List gates."""
    gates = await read(request, lambda session, principal: repository.list_gates(session, principal.organization_id))
    return respond_json({"data": [_gate(each) for each in gates]})


@router.put(
    "/gates/{model_id}",
    response_model=QualityGate,
    summary="Set a model's gate",
    description=(
        "From now on, a version of the model is promoted only if its last recorded run of the data set meets"
        " the gate. Otherwise `POST /v1/models/{model_id}/promote` returns 409 `quality_gate_not_passed`."
        " Rollbacks are never gated."
    ),
    responses={200: {"description": "The gate."}, **problems(400, 403, 404, 408, 413, 415)},
)
@requires("quality:write", organization_wide=True)
async def set_quality_gate(request: Request, model_id: ModelId, body: SetGate) -> Response:
    """Set a gate."""
    found = parse_id(MODEL, model_id, "model")
    return respond_json(
        _gate(await change(request, service.set_gate, found, body.dataset, body.min_share, body.min_cases))
    )


@router.delete(
    "/gates/{model_id}",
    status_code=204,
    response_class=Response,
    summary="Remove a model's gate",
    responses={204: {"description": "Removed."}, **problems(404)},
)
@requires("quality:write", organization_wide=True)
async def remove_quality_gate(request: Request, model_id: ModelId) -> Response:
    """Remove a gate."""
    await change(request, service.remove_gate, parse_id(MODEL, model_id, "model"))
    return Response(status_code=204)


def _run(run: Run) -> dict[str, Any]:
    return {
        "id": encode(QUALITY_RUN, run.id),
        "batch_id": encode(BATCH, run.batch_id),
        "dataset": run.dataset,
        "dataset_digest": run.dataset_digest,
        "model_version": run.model_version,
        "cases": run.cases,
        "checked": run.checked,
        "passed": run.passed,
        "recorded_by": run.recorded_by,
        "recorded_at": isoformat(run.recorded_at),
    }


def _gate(gate: Gate) -> dict[str, Any]:
    return {
        "model_id": encode(MODEL, gate.model_id),
        "dataset": gate.dataset,
        "min_share": gate.min_share,
        "min_cases": gate.min_cases,
        "set_by": gate.set_by,
        "set_at": isoformat(gate.set_at),
    }
