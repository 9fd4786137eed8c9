"""``/console/quality/labels``: the queue of results to label, one at a time."""

from datetime import timedelta
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request, Response

from api import cursors
from api.answers import parse_id
from api.console.forms import parse_form
from api.console.rendering import flash, render
from api.console.rendering import gettext as _
from api.console.routing import current, form, new_router, redirect, requires
from api.console.work import change, read
from api.deps import Runtime
from api.quality.annotations import ChooseJobs, GiveLabel
from api.routing import require_scope
from core.keys.principal import Principal
from core.kit.clock import utc_now
from core.kit.db import SingleStatement
from core.kit.ids import JOB, encode
from core.quality.annotations.records import How, Sample, Verdict
from pipelines.registry import manifests

router = new_router("/quality/labels")

_LIST = "/console/quality/labels"
_PAGE = 50
_AGREEMENT = timedelta(days=90)


@router.get("")
@requires("quality:read")
async def queue(
    request: Request,
    capability: Annotated[str, Query(max_length=200)] = "",
    cursor: Annotated[str | None, Query(max_length=100)] = None,
) -> Response:
    """What the caller has not labeled yet, and how far labelers agree."""
    before = None if cursor is None else cursors.decode(cursor)
    principal = current(request).principal

    def find(runtime: Runtime, session: SingleStatement, principal: Principal) -> dict[str, Any]:
        since = utc_now() - _AGREEMENT
        return {
            "found": runtime.annotations.list(
                session,
                principal,
                capability=capability or None,
                is_open=True,
                is_unlabeled=True,
                cursor=before,
                limit=_PAGE + 1,
            ),
            "pairs": runtime.annotations.agreement(session, principal, capability=capability or None, since=since),
        }

    values = await read(request, find)
    found = values.pop("found")
    return render(
        request,
        "quality/labels.html",
        queue=found[:_PAGE],
        older=cursors.encode(found[_PAGE - 1].job_id) if len(found) > _PAGE else None,
        capability=capability,
        capabilities=sorted(each for each in manifests() if principal.may_use(each)),
        how=[How.RANDOM.value, How.UNCERTAIN.value],
        **values,
    )


@router.post("")
@requires("quality:write")
async def choose(request: Request) -> Response:
    """Add jobs to the queue."""
    fields = form(request)
    numbers = {name: _number(fields.get(name)) for name in ("count", "days", "labels_wanted")}
    body = parse_form(
        ChooseJobs, {"how": fields.get("how") or None, "capability": fields.get("capability") or None, **numbers}
    )
    wanted = Sample(
        capability=body.capability or "",
        count=body.count,
        how=body.how,
        since=utc_now() - timedelta(days=body.days),
        labels_wanted=body.labels_wanted,
    )
    chosen = await change(
        request, lambda runtime, session, principal: runtime.annotations.choose(session, principal, wanted)
    )
    return flash(redirect(request, _LIST), _("%(count)s jobs were added to the queue.", count=len(chosen)))


@router.get("/{job_id}")
@requires("quality:read")
async def case(request: Request, job_id: str) -> Response:
    """What is needed to label a result."""
    require_scope(current(request).principal, "jobs:read")
    found = parse_id(JOB, job_id, "job")
    annotation, given, result = await change(
        request, lambda runtime, session, principal: runtime.annotations.open(session, principal, found)
    )
    labels = await read(
        request, lambda runtime, session, principal: runtime.annotations.labels(session, principal, found)
    )
    return render(
        request,
        "quality/case.html",
        case=annotation,
        given=given,
        result=result,
        labels=labels,
        verdicts=[each.value for each in Verdict],
    )


@router.post("/{job_id}")
@requires("quality:write")
async def label(request: Request, job_id: str) -> Response:
    """Record the caller's label, and go on with the next result."""
    found, fields = parse_id(JOB, job_id, "job"), form(request)
    body = parse_form(GiveLabel, {"verdict": fields.get("verdict", ""), "note": fields.get("note") or None})
    await change(
        request,
        lambda runtime, session, principal: runtime.annotations.label(
            session, principal, found, body.verdict, None, body.note, is_judge=False
        ),
    )
    following = await read(request, _next)
    to = _LIST if following is None else f"{_LIST}/{encode(JOB, following)}"
    return flash(redirect(request, to), _("Your label is recorded."))


def _next(runtime: Runtime, session: SingleStatement, principal: Principal) -> UUID | None:
    found = runtime.annotations.list(
        session, principal, capability=None, is_open=True, is_unlabeled=True, cursor=None, limit=1
    )
    return found[0].job_id if found else None


def _number(text: Any) -> Any:
    """A number as JSON has it; anything else stays, and is refused by the body."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 10 else text or None  # noqa: PLR2004
