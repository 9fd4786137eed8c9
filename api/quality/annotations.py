"""``/v1/quality/annotations``: choose jobs, label their results, and measure agreement between labelers."""

from datetime import datetime, timedelta
from operator import attrgetter
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy.orm import Session

from api import cursors
from api.answers import parse_id, respond_json
from api.deps import get_runtime
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.problem import invalid
from api.routing import caller, new_router, require_scope, requires
from api.work import Cursor, answer_once, per_page, read, respond_page
from core.keys.idempotency import Answer
from core.kit.clock import isoformat, utc_now
from core.kit.ids import JOB, decode, encode
from core.kit.json_values import dumps
from core.quality.annotations.records import (
    LABELS_MAX,
    NOTE_MAX,
    Agreement,
    Annotation,
    How,
    Label,
    Sample,
    Verdict,
)

router = new_router("/v1/quality/annotations", "quality")

_COUNT_MAX, _DAYS_MAX = 500, 366
JobId = Annotated[str, Path(description="The job's id.", examples=["job_01jd3q8v9tfq8a1b2c3d4e5f6g"])]
Capability = Annotated[str | None, Query(max_length=200, description="Filter by capability.")]
Days = Annotated[int, Query(ge=1, le=_DAYS_MAX, description="Number of days to include.")]


class ChooseJobs(BaseModel):
    """Which jobs to label."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"capability": "knowledge.search", "how": "random", "count": 50}]},
    )

    how: How = Field(
        How.RANDOM, description="`uncertain`: the least certain results first. `named`: the jobs in `job_ids`."
    )
    capability: str | None = Field(None, min_length=1, max_length=200, description="Not allowed with `named`.")
    model_version: str | None = Field(None, min_length=1, max_length=200, description="Only results of this version.")
    count: int = Field(20, ge=1, le=_COUNT_MAX, description="Maximum number of jobs. Not allowed with `named`.")
    days: int = Field(7, ge=1, le=_DAYS_MAX, description="Only jobs that ended within this many days.")
    job_ids: list[str] = Field(default_factory=list, max_length=_COUNT_MAX, description="With `named`.")
    labels_wanted: int = Field(
        1,
        ge=1,
        le=LABELS_MAX,
        description="Number of people or keys that label each job. With 2, their agreement can be measured.",
    )

    @model_validator(mode="after")
    def _says_which(self) -> Self:
        if (self.how is How.NAMED) != bool(self.job_ids):
            raise ValueError("`job_ids` and `named` must be used together")
        if (self.how is How.NAMED) == (self.capability is not None):
            raise ValueError("send a `capability`, unless jobs are `named`")
        return self


class Chosen(BaseModel):
    """The jobs that were added to the queue."""

    job_ids: list[str]


class AnnotationItem(BaseModel):
    """A job in the labeling queue."""

    job_id: str
    capability: str
    how: How
    labels_wanted: int
    labels: int = Field(description="Number of labels so far.")
    created_at: datetime


class AnnotationCase(AnnotationItem):
    """A job in the queue, with everything needed to label it."""

    input: dict[str, Any] | None = Field(description="Null once retention has deleted it.")
    result: dict[str, Any] | None


class AnnotationPage(BaseModel):
    """A page of the labeling queue."""

    data: list[AnnotationItem]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


class GiveLabel(BaseModel):
    """A label for a result."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"verdict": "good"}]})

    verdict: Verdict
    expected: dict[str, Any] | None = Field(
        None, description="The expected values of the result, by field. Kept as long as the job's payload."
    )
    note: str | None = Field(
        None, min_length=1, max_length=NOTE_MAX, description="Your comment. Kept as long as the job's payload."
    )
    is_judge: bool = Field(
        False,
        description=(
            "Whether a model gives the label. Such labels form a separate signal and do not count in the queue."
        ),
    )


class LabelItem(BaseModel):
    """A label."""

    job_id: str
    labeler: str = Field(description="The key or person, as in audit records.")
    is_judge: bool
    verdict: Verdict
    expected: dict[str, Any] | None
    note: str | None
    labeled_at: datetime


class LabelList(BaseModel):
    """The labels of a job."""

    data: list[LabelItem]


class AgreementItem(BaseModel):
    """Agreement of two labelers."""

    labelers: list[str] = Field(min_length=2, max_length=2)
    jobs: int = Field(description="Jobs that both have labeled.")
    share: float = Field(description="Share of these jobs with the same label.")
    kappa: float | None = Field(description="Cohen's kappa. Null when both gave every job the same label.")
    low: float | None = Field(description="Bounds of its 95 % interval.")
    high: float | None


class AgreementList(BaseModel):
    """Every two labelers with jobs in common."""

    data: list[AgreementItem]


@router.post(
    "",
    status_code=201,
    response_model=Chosen,
    summary="Add jobs to the labeling queue",
    description="Adds succeeded jobs of the project that are not in the queue yet.",
    responses={201: {"description": "The added jobs.", "headers": REPLAYED}, **problems(400, 404, 408, 409, 413, 415)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("quality:write")
async def choose_jobs(request: Request, body: ChooseJobs) -> Response:
    """Add jobs to the queue."""
    wanted = Sample(
        capability=body.capability or "",
        count=body.count,
        how=body.how,
        since=utc_now() - timedelta(days=body.days),
        labels_wanted=body.labels_wanted,
        model_version=body.model_version,
        job_ids=[_decode(each, number) for number, each in enumerate(body.job_ids)],
    )
    runtime, principal = get_runtime(request), caller(request)

    def produce(session: Session) -> Answer:
        chosen = runtime.annotations.choose(session, principal, wanted)
        return Answer(201, dumps({"job_ids": [encode(JOB, job_id) for job_id in chosen]}))

    return await answer_once(request, produce, await request.body())


def _decode(text: str, number: int) -> UUID:
    try:
        return decode(JOB, text)
    except ValueError as error:
        problem = {"path": f"body.job_ids.{number}", "code": "invalid_id", "message": "must be an id of the form job_…"}
        raise invalid([problem]) from error


@router.get(
    "",
    response_model=AnnotationPage,
    summary="List jobs to label",
    responses={200: {"description": "Lists the queue, newest jobs first."}, **problems()},
)
@requires("quality:read")
async def list_annotations(  # noqa: PLR0917 - the framework passes them by name
    request: Request,
    capability: Capability = None,
    is_open: Annotated[bool, Query(alias="open", description="List only jobs that need more labels.")] = True,
    is_unlabeled: Annotated[
        bool | None,
        Query(
            alias="unlabeled", description="List only jobs without a label of the caller. Default: the value of `open`."
        ),
    ] = None,
    limit: Annotated[int, per_page("Jobs")] = 50,
    cursor: Cursor = None,
) -> Response:
    """List jobs to label."""
    before = cursors.decode_given(cursor)
    found = await read(
        request,
        get_runtime(request).annotations.list,
        capability=capability,
        is_open=is_open,
        is_unlabeled=is_open if is_unlabeled is None else is_unlabeled,
        cursor=before,
        limit=limit + 1,
    )
    return respond_page(found, limit, _annotation, attrgetter("job_id"))


@router.get(
    "/agreement",
    response_model=AgreementList,
    summary="Read labeler agreement",
    description=(
        "Returns, for every two labelers of the same jobs of the project, their share of equal labels and"
        " Cohen's kappa."
    ),
    responses={200: {"description": "The agreement of each pair."}, **problems()},
)
@requires("quality:read")
async def read_agreement(request: Request, capability: Capability = None, days: Days = 90) -> Response:
    """Read labeler agreement."""
    found = await get_runtime(request).in_thread(_agreement, request, capability, days)
    return respond_json({"data": found})


def _agreement(request: Request, capability: str | None, days: int) -> list[dict[str, Any]]:
    runtime, principal = get_runtime(request), caller(request)
    session = runtime.database.single_tenant(principal.organization_id)
    found = runtime.annotations.agreement(
        session, principal, capability=capability, since=utc_now() - timedelta(days=days)
    )
    return [_pair(each) for each in found]


@router.get(
    "/{job_id}",
    response_model=AnnotationCase,
    summary="Read a job to label",
    description="Returns a job of the queue with its input and result. Also needs the scope `jobs:read`.",
    responses={200: {"description": "The job to label."}, **problems(404)},
)
@requires("quality:read")
async def read_annotation(request: Request, job_id: JobId) -> Response:
    """Read a job to label."""
    require_scope(caller(request), "jobs:read")
    found = parse_id(JOB, job_id, "job")
    return respond_json(await get_runtime(request).in_thread(_case, request, found))


def _case(request: Request, job_id: UUID) -> dict[str, Any]:
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        found, given, result = runtime.annotations.open(session, principal, job_id)
    return {**_annotation(found), "input": given, "result": result}


@router.get(
    "/{job_id}/labels",
    response_model=LabelList,
    summary="List the labels of a job",
    responses={200: {"description": "Lists the labels in the order in which they were given."}, **problems(404)},
)
@requires("quality:read")
async def read_labels(request: Request, job_id: JobId) -> Response:
    """List the labels of a job."""
    found = parse_id(JOB, job_id, "job")
    labels = await read(request, get_runtime(request).annotations.labels, found)
    return respond_json({"data": [_label(each) for each in labels]})


@router.post(
    "/{job_id}/labels",
    response_model=LabelItem,
    summary="Label a job's result",
    description=(
        "Labels the result of a job that has ended. A later label by the same key or person replaces the earlier one."
    ),
    responses={200: {"description": "Recorded.", "headers": REPLAYED}, **problems(400, 404, 408, 409, 413, 415)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("quality:write")
async def label_job(request: Request, job_id: JobId, body: GiveLabel) -> Response:
    """Record a label."""
    found = parse_id(JOB, job_id, "job")
    runtime, principal = get_runtime(request), caller(request)

    def produce(session: Session) -> Answer:
        made = runtime.annotations.label(
            session, principal, found, body.verdict, body.expected, body.note, is_judge=body.is_judge
        )
        return Answer(200, dumps(_label(made)))

    return await answer_once(request, produce, await request.body())


def _annotation(each: Annotation) -> dict[str, Any]:
    return {
        "job_id": encode(JOB, each.job_id),
        "capability": each.capability,
        "how": each.how.value,
        "labels_wanted": each.labels_wanted,
        "labels": each.labels,
        "created_at": isoformat(each.created_at),
    }


def _label(each: Label) -> dict[str, Any]:
    return {
        "job_id": encode(JOB, each.job_id),
        "labeler": each.labeler,
        "is_judge": each.is_judge,
        "verdict": each.verdict.value,
        "expected": each.expected,
        "note": each.note,
        "labeled_at": isoformat(each.labeled_at),
    }


def _pair(each: Agreement) -> dict[str, Any]:
    return {
        "labelers": list(each.labelers),
        "jobs": each.jobs,
        "share": each.share,
        "kappa": each.kappa,
        "low": each.low,
        "high": each.high,
    }
