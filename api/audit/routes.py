"""``/v1/audit``: query the trail, verify it, prove a record, erase a person."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request, Response
from sqlalchemy.orm import Session

from api import cursors
from api.answers import carry_out, identify_request, parse_id, respond_answer, respond_json
from api.audit.schemas import (
    EXAMPLE_ID,
    AuditErasure,
    AuditPage,
    AuditReport,
    EraseSubject,
    InclusionProof,
    proof_to_wire,
    record_to_wire,
)
from api.deps import get_runtime
from api.jobs.schemas import clamp
from api.openapi import IDEMPOTENCY_KEY, REPLAYED, problems
from api.routing import caller, new_router, require_scope, requires
from api.times import Moment
from api.work import Cursor, per_page, respond_page
from core.audit import anchors, service
from core.audit.documents import Record
from core.audit.findings import Report
from core.audit.repository import RecordFilter
from core.audit.service import Proof
from core.audit.verification import verify
from core.keys.idempotency import Answer, IdempotentRequest
from core.keys.principal import Principal
from core.kit.ids import AUDIT, ERASURE, encode
from core.kit.json_values import dumps

router = new_router("/v1/audit", "audit")

_ORGANIZATION_WIDE = "organization:read"
# The most that one request may cost a process that also serves others: about three seconds of hashing.
_VERIFY_MAX = 100_000
_NAME_MAX = 200

RecordId = Annotated[str, Path(description="The record's id.", examples=[EXAMPLE_ID])]


@router.get(
    "",
    response_model=AuditPage,
    summary="Query the audit trail",
    description=(
        "Lists the records of the caller's project, newest first, or of the whole organization with the"
        " scope `organization:read`. A record appears immediately and gets its `sequence` when it is sealed,"
        " about a second later."
    ),
    responses={200: {"description": "A page of results."}, **problems()},
)
@requires("audit:read", organization_wide=True)
async def query_audit(  # noqa: PLR0917 - the framework passes them by name
    request: Request,
    actor: Annotated[str | None, Query(max_length=_NAME_MAX, description="Filter by actor: key_….")] = None,
    subject: Annotated[str | None, Query(max_length=_NAME_MAX, description="Filter by target: job_….")] = None,
    action: Annotated[
        list[str] | None,
        Query(max_length=50, description="Filter by one or more actions, for example `api:job:submit`."),
    ] = None,
    recorded_after: Annotated[Moment | None, Query(description="Recorded at or after this time.")] = None,
    recorded_before: Annotated[Moment | None, Query(description="Recorded before this time.")] = None,
    limit: Annotated[int, per_page("Records")] = 50,
    cursor: Cursor = None,
) -> Response:
    """A page of the audit trail."""
    where = RecordFilter(
        project_id=scope_of(caller(request)),
        actor_id=actor,
        subject_id=subject,
        actions=tuple(action or ()),
        recorded_after=clamp(recorded_after),
        recorded_before=clamp(recorded_before),
    )
    before = cursors.decode_given(cursor)
    found = await get_runtime(request).in_thread(find_records, request, where, before, limit + 1)
    return respond_page(found, limit, lambda each: record_to_wire(*each), lambda each: each[0].id)


def scope_of(principal: Principal) -> UUID | None:
    """The scope of the caller's view: the whole organization (None), or its project."""
    return None if _ORGANIZATION_WIDE in principal.scopes else principal.project_id


def find_records(
    request: Request, where: RecordFilter, before: UUID | None, limit: int
) -> list[tuple[Record, dict[str, str | None] | None]]:
    """Records that the caller may see, each with its personal values. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        found = service.find(session, principal.organization_id, where, cursor=before, most=limit)
        personal = service.personal_of(session, principal.organization_id, found)
    return [(record, personal.get(record.id)) for record in found]


@router.get(
    "/verify",
    response_model=AuditReport,
    summary="Verify the audit trail",
    description=(
        "Rehashes every record and compares it with its seal, each seal with the previous one, and the chain"
        " with its anchors in the blob store. Also needs `organization:read`, because the chain belongs to"
        " the organization. One call reads about 100,000 records; pass `next_after_seal` to continue."
    ),
    responses={
        200: {"description": "The verification report. Damage is reported as a finding, not as an error."},
        **problems(),
    },
)
@requires("audit:read", organization_wide=True)
async def verify_audit(
    request: Request,
    after_seal: Annotated[
        int, Query(ge=0, le=10**15, description="Start after this seal, which is trusted as it is.")
    ] = 0,
    most_records: Annotated[
        int,
        Query(ge=1, le=_VERIFY_MAX, description="Stop at the end of the seal in which this many records were read."),
    ] = _VERIFY_MAX,
) -> Response:
    """Verify the audit trail."""
    require_scope(caller(request), _ORGANIZATION_WIDE)
    report = await get_runtime(request).in_thread(verification_report, request, after_seal, most_records)
    return respond_json(report.as_json())


def verification_report(request: Request, after_seal: int, most_records: int) -> Report:
    """The result of verifying the trail of the caller's organization. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    known = anchors.read_anchors(runtime.blobs, principal.organization_id)
    with runtime.database.tenant(principal.organization_id) as session:
        return verify(
            session,
            principal.organization_id,
            runtime.keyring,
            anchors=known,
            after_seal=after_seal,
            max_records=most_records,
        )


@router.get(
    "/{record_id}/proof",
    response_model=InclusionProof,
    summary="Get a record's inclusion proof",
    description=(
        "Returns the inclusion proof of a record: the path from the record to the root in its signed seal (RFC 6962)."
    ),
    responses={200: {"description": "The inclusion proof."}, **problems(404, 409)},
)
@requires("audit:read", organization_wide=True)
async def prove_record(request: Request, record_id: RecordId) -> Response:
    """The inclusion proof of a record."""
    found = parse_id(AUDIT, record_id, "audit_record")
    return respond_json(proof_to_wire(await get_runtime(request).in_thread(inclusion_proof, request, found)))


def inclusion_proof(request: Request, record_id: UUID) -> Proof:
    """The proof of a record that the caller may see. Raises `NotFound` and `RecordNotSealed`. Blocks."""
    runtime, principal = get_runtime(request), caller(request)
    with runtime.database.tenant(principal.organization_id) as session:
        return service.prove(session, principal.organization_id, scope_of(principal), record_id)


@router.post(
    "/erasures",
    response_model=AuditErasure,
    summary="Erase a person",
    description=(
        "Permanently removes the personal values that records of the organization hold about a data subject."
        " The records keep salted digests and still verify. The erasure is recorded without naming the data"
        " subject."
    ),
    responses={
        200: {"description": "The result of the erasure.", "headers": REPLAYED},
        **problems(400, 408, 409, 413, 415),
    },
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("audit:write", organization_wide=True)
async def erase_subject(request: Request, body: EraseSubject) -> Response:
    """Erase a data subject."""
    identity = identify_request(request, await request.body())
    return respond_answer(await get_runtime(request).in_thread(_erase, request, body, identity))


def _erase(request: Request, body: EraseSubject, identity: IdempotentRequest | None) -> Answer:
    principal = caller(request)

    def produce(session: Session) -> Answer:
        erasure = service.erase(session, principal.organization_id, principal.actor, body.data_subject)
        return Answer(200, dumps({"id": encode(ERASURE, erasure.id), "erased_values": erasure.erased_values}))

    return carry_out(request, identity, produce)
