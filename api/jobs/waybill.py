"""``GET /v1/jobs/{job_id}/waybill`` and ``/audit``: the signed receipt of a job, and its audit trail."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Request, Response

from api import cursors
from api.answers import parse_id, respond
from api.audit.schemas import AuditPage, record_to_wire
from api.deps import get_runtime
from api.jobs.waybill_schema import Waybill
from api.openapi import problems
from api.routing import caller, new_router, requires
from api.work import Cursor, per_page, respond_page
from core.audit import service as audit
from core.audit.documents import Record
from core.jobs.receipts.document import issue
from core.kit.ids import JOB, encode
from core.kit.json_values import dumps
from core.kit.signing import SigningKeyMissing

router = new_router("/v1/jobs", "jobs")

_SEALED_SOON = "1"

JobId = Annotated[str, Path(description="The job's id.", examples=["job_01jd3q8v9tfq8a1b2c3d4e5f6g"])]


@router.get(
    "/{job_id}/waybill",
    response_model=Waybill,
    summary="Read a job's waybill",
    description=(
        "Returns the signed receipt of a job: digests of the input, the model versions it ran on, its cost,"
        " its policy decisions, and proofs of its audit records. `waybill verify FILE` checks it offline."
        " While `audit.unsealed` is not empty, `Retry-After` says when the complete receipt is available."
    ),
    responses={
        200: {
            "description": "The waybill.",
            "headers": {
                "Retry-After": {"description": "Some records were not sealed yet.", "schema": {"type": "integer"}}
            },
        },
        **problems(404, 409),
    },
)
@requires("jobs:read")
async def read_waybill(request: Request, job_id: JobId) -> Response:
    """The signed waybill of an ended job."""
    found = parse_id(JOB, job_id, "job")
    document = await get_runtime(request).in_thread(issue_waybill, request, found)
    headers = {"retry-after": _SEALED_SOON} if document["audit"]["unsealed"] else {}
    return respond(dumps(document), 200, headers)


def issue_waybill(request: Request, job_id: UUID) -> dict[str, Any]:
    """The signed document. Blocks. Raises what `JobService.open` and `issue` raise, and `SigningKeyMissing`."""
    runtime, principal = get_runtime(request), caller(request)
    runtime.jobs.open(runtime.database.single_tenant(principal.organization_id), principal, job_id)
    if runtime.signer is None:
        raise SigningKeyMissing("this installation has no signing key; its operator sets WAYBILL_SIGNING_KEY")
    with runtime.database.tenant(principal.organization_id) as session:
        return issue(session, principal, job_id, runtime.signer)


@router.get(
    "/{job_id}/audit",
    response_model=AuditPage,
    summary="Read a job's audit records",
    description="Lists the job's audit records, oldest first: submission, every claim, every end, decisions and calls.",
    responses={200: {"description": "A page of results."}, **problems(404)},
)
@requires("jobs:read")
async def read_job_audit(
    request: Request,
    job_id: JobId,
    limit: Annotated[int, per_page("Records")] = 100,
    cursor: Cursor = None,
) -> Response:
    """List a job's audit records."""
    found = parse_id(JOB, job_id, "job")
    after = cursors.decode_given(cursor)
    records = await get_runtime(request).in_thread(_records, request, found, after, limit + 1)
    return respond_page(records, limit, lambda each: record_to_wire(*each), lambda each: each[0].id)


def _records(
    request: Request, job_id: UUID, after: UUID | None, limit: int
) -> list[tuple[Record, dict[str, str | None] | None]]:
    runtime, principal = get_runtime(request), caller(request)
    organization_id = principal.organization_id
    with runtime.database.tenant(organization_id) as session:
        job = runtime.jobs.get(session, principal, job_id)
        found = audit.of_subject(
            session, organization_id, principal.project_id, encode(JOB, job.id), cursor=after, most=limit
        )
        personal = audit.personal_of(session, organization_id, found)
    return [(record, personal.get(record.id)) for record in found]
