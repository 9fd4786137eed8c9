"""``/console/approvals``: the questions that wait for a person, and the forms that answer them."""

from typing import Annotated
from uuid import UUID

from fastapi import Path, Query, Request, Response

from api.answers import parse_id
from api.console.rendering import flash, render
from api.console.rendering import gettext as _
from api.console.routing import current, form, new_router, redirect, requires
from api.console.schema_forms import fields_of, value_of
from api.console.work import read
from api.deps import Runtime, get_runtime
from api.jobs.questions import GiveInput, give_answer
from core.jobs.records import JobRecord
from core.jobs.suspension import questions, repository
from core.jobs.suspension.questions import SelfApproval
from core.jobs.suspension.records import Question
from core.keys.clearance import is_cleared
from core.keys.principal import Principal
from core.kit.db import SingleStatement
from core.kit.errors import NotFound
from core.kit.ids import JOB

router = new_router("/approvals")

_LISTED_MAX = 100
_KEY_MAX = 200
# What a capability tells the person who answers, in the order in which it is shown; the rest follows as JSON.
_DESCRIBED = ("customer_words", "effect", "why", "operation", "amount", "currency")

JobId = Annotated[str, Path(max_length=100)]


@router.get("")
@requires("jobs:read")
async def approvals(request: Request) -> Response:
    """The inbox, the most urgent question first."""
    principal = current(request).principal
    found = await read(request, lambda _runtime, session, principal: repository.inbox(session, principal, _LISTED_MAX))
    return render(
        request,
        "approvals/list.html",
        fragment="approvals/_list.html",
        inbox=[(asked if is_cleared(principal, job.data_class) else None, job) for asked, job in found],
        four_eyes=get_runtime(request).settings.four_eyes,
        most=_LISTED_MAX,
    )


@router.get("/{job_id}")
@requires("jobs:read")
async def approval(
    request: Request, job_id: JobId, key: Annotated[str | None, Query(max_length=_KEY_MAX)] = None
) -> Response:
    """One question, with everything that the person who answers needs."""
    found = parse_id(JOB, job_id, "job")
    asked, job, refused = await read(
        request, lambda runtime, session, principal: _ask(runtime, session, principal, found, key)
    )
    details = dict(asked.details or {})
    described = [(name, details.pop(name)) for name in _DESCRIBED if details.get(name) is not None]
    return render(
        request,
        "approvals/one.html",
        asked=asked,
        job=job,
        described=described,
        details=details,
        refused=refused,
        is_four_eyes=asked.approves in get_runtime(request).settings.four_eyes,
        fields=fields_of(asked.schema),
    )


@router.post("/{job_id}")
@requires("jobs:answer")
async def answer(request: Request, job_id: JobId) -> Response:
    """Give the answer that the question's form holds."""
    found = parse_id(JOB, job_id, "job")
    sent = form(request)
    key = sent.get("key", "")[:_KEY_MAX]
    asked, _job, _refused = await read(
        request, lambda runtime, session, principal: _ask(runtime, session, principal, found, key)
    )
    value = value_of(fields_of(asked.schema), sent)
    body = GiveInput(key=asked.key, value=value)
    await get_runtime(request).in_thread(give_answer, request, found, body, None)
    return flash(redirect(request, "/console/approvals"), _("Your answer is recorded. The job goes on."))


def _ask(
    runtime: Runtime, session: SingleStatement, principal: Principal, job_id: UUID, key: str | None
) -> tuple[Question, JobRecord, str | None]:
    """An open question, its job, and why the caller may not answer it. Raises `NotFound` and `ClearanceExceeded`."""
    job = runtime.jobs.open(session, principal, job_id)
    for asked in questions.open_questions(session, principal, job):
        if not key or asked.key == key:
            return asked, job, _refusal(runtime, session, principal, job, asked)
    raise NotFound("this question is closed: it was answered, or its time is up", code="question_not_found")


def _refusal(
    runtime: Runtime, session: SingleStatement, principal: Principal, job: JobRecord, asked: Question
) -> str | None:
    if "jobs:answer" not in principal.scopes:
        return _("Your key or role lacks the scope jobs:answer.")
    if asked.approves in runtime.settings.four_eyes:
        try:
            questions.require_other_hands(session, principal, job, asked.approves)
        except SelfApproval as error:
            return error.detail
    return None
