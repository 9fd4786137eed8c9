"""``/console/jobs/{job_id}``: one job, live, and what may be done to it."""

import secrets
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import Path, Query, Request, Response

from api.answers import parse_id
from api.console import formats
from api.console.jobs.acts import cancel_job, run_again
from api.console.jobs.live import JobEvents
from api.console.jobs.previews import TEXT_MAX_BYTES, preview_of
from api.console.jobs.story import Bar, bars
from api.console.rendering import flash, render
from api.console.rendering import gettext as _
from api.console.routing import form, new_router, redirect, requires
from api.console.work import read
from api.deps import Runtime, get_runtime
from api.jobs.artifacts import Name, send_artifact
from api.jobs.routes import follow
from api.jobs.waybill import issue_waybill
from core.audit import service as audit
from core.audit.documents import Record
from core.jobs import artifacts
from core.jobs.artifacts import ArtifactRecord
from core.jobs.receipts.checks import check, holds
from core.jobs.records import Event, JobRecord
from core.jobs.service import listed
from core.jobs.suspension import children, questions
from core.jobs.suspension.records import Node, Question
from core.keys.clearance import is_cleared
from core.keys.principal import Principal
from core.kit.db import SingleStatement
from core.kit.ids import JOB, encode
from core.ledger.records import Entry
from core.ledger.service import entries_of

router = new_router("/jobs")

_EVENTS_MAX = 1000
_RECORDS_MAX = 200
_POLICY = "policy:"

JobId = Annotated[str, Path(max_length=100)]


@dataclass(frozen=True, slots=True)
class Seen:
    """All that the page of a job shows. Without clearance, what is read from its payloads is empty."""

    job: JobRecord
    is_cleared: bool
    given: dict[str, Any] | None
    result: dict[str, Any] | None
    events: list[Event]
    tree: list[Node]
    entries: list[Entry]
    records: list[Record]
    files: list[ArtifactRecord]
    open_questions: list[Question]

    @property
    def passages(self) -> list[dict[str, Any]]:
        """What it found in documents, which its citations refer to."""
        found = (self.result or {}).get("passages")
        return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """What policies decided about it."""
        return [record.document() for record in self.records if record.action.startswith(_POLICY)]

    @property
    def findings(self) -> list[Event]:
        """What the guard found."""
        return [event for event in self.events if event.type == "guard.findings"]

    @property
    def bars(self) -> list[Bar]:
        """Its timeline."""
        return bars(self.job, self.events, self.entries, self.tree)

    @property
    def trace_id(self) -> str | None:
        """Its trace, as logs and backends name it."""
        return formats.trace_id(self.job.traceparent)


@router.get("/{job_id}")
@requires("jobs:read")
async def job(request: Request, job_id: JobId) -> Response:
    """Everything about a job; the part that changes is asked for again as its events come."""
    seen = await read(request, partial(_see, parse_id(JOB, job_id, "job")))
    return render(
        request,
        "jobs/one.html",
        fragment="jobs/_live.html",
        seen=seen,
        job=seen.job,
        id=encode(JOB, seen.job.id),
        once=secrets.token_urlsafe(16),
        preview=preview_of,
    )


def _see(job_id: UUID, runtime: Runtime, session: SingleStatement, principal: Principal) -> Seen:
    job = runtime.jobs.get(session, principal, job_id)
    cleared = is_cleared(principal, job.data_class)
    given = result = None
    if cleared:
        job, given, result = runtime.jobs.get_with_payloads(session, principal, job_id)
    organization_id, project_id = principal.organization_id, principal.project_id
    with runtime.database.tenant(organization_id) as transaction:
        records = audit.of_subject(transaction, organization_id, project_id, encode(JOB, job_id), most=_RECORDS_MAX)
    events = runtime.jobs.events(session, organization_id, job_id, after=0, limit=_EVENTS_MAX) if cleared else []
    return Seen(
        job=listed(principal, job),
        is_cleared=cleared,
        given=given,
        result=result,
        events=list(events),
        tree=children.tree(session, principal, job_id),
        entries=entries_of(session, principal, job_id),
        records=records,
        files=list(artifacts.list_artifacts(session, principal, job_id)) if cleared else [],
        open_questions=questions.open_questions(session, principal, job) if cleared else [],
    )


@router.get("/{job_id}/events")
@requires("jobs:read")
async def job_events(
    request: Request, job_id: JobId, starting_after: Annotated[int, Query(ge=0, le=10**18)] = 0
) -> Response:
    """The job's events, as ``/v1`` streams them."""
    return await follow(request, parse_id(JOB, job_id, "job"), starting_after, partial(JobEvents, request))


@router.get("/{job_id}/waybill")
@requires("jobs:read")
async def job_waybill(request: Request, job_id: JobId) -> Response:
    """The waybill of an ended job, and the result of checking it against its input and result."""
    found = parse_id(JOB, job_id, "job")
    runtime = get_runtime(request)
    document = await runtime.in_thread(issue_waybill, request, found)
    _job, given, result = await read(
        request, lambda runtime, session, principal: runtime.jobs.get_with_payloads(session, principal, found)
    )
    checks = check(document, runtime.keyring, given=given, result=result)
    return render(
        request,
        "jobs/waybill.html",
        id=job_id,
        document=document,
        checks=checks,
        holds=holds(checks),
        unsealed=len(document["audit"]["unsealed"]),
    )


@router.get("/{job_id}/artifacts/{name}")
@requires("jobs:read")
async def job_artifact(request: Request, job_id: JobId, name: Name) -> Response:
    """A file that the job made, as a download. An image of a page reads it from here."""
    return await get_runtime(request).in_thread(send_artifact, request, parse_id(JOB, job_id, "job"), name)


@router.get("/{job_id}/artifacts/{name}/text")
@requires("jobs:read")
async def job_artifact_text(request: Request, job_id: JobId, name: Name) -> Response:
    """The start of a file of text, escaped as any other text."""
    found = parse_id(JOB, job_id, "job")

    def load(runtime: Runtime, session: SingleStatement, principal: Principal) -> tuple[ArtifactRecord, bytes]:
        runtime.jobs.open(session, principal, found)
        file = artifacts.get_artifact(session, principal, found, name)
        return file, b"".join(runtime.blobs.open(file.blob_key, 0, min(file.size_bytes, TEXT_MAX_BYTES)))

    file, content = await read(request, load)
    text = content.decode("utf-8", errors="replace").replace("\x00", "\ufffd")
    is_cut = file.size_bytes > TEXT_MAX_BYTES
    return render(request, "jobs/text.html", id=job_id, file=file, content=text, is_cut=is_cut)


@router.post("/{job_id}/cancel")
@requires("jobs:write")
async def cancel(request: Request, job_id: JobId) -> Response:
    """Cancel the job and all below it."""
    cancelled = await cancel_job(request, parse_id(JOB, job_id, "job"))
    text = _("The job is cancelled.") if cancelled.is_terminal else _("The job stops at its next step.")
    return flash(redirect(request, f"/console/jobs/{job_id}"), text)


@router.post("/{job_id}/run-again")
@requires("jobs:write")
async def again(request: Request, job_id: JobId) -> Response:
    """Submit a job with the same input."""
    new_id = await run_again(request, parse_id(JOB, job_id, "job"), form(request).get("once", "")[:200])
    return flash(redirect(request, f"/console/jobs/{encode(JOB, new_id)}"), _("Submitted again: this is the new job."))
