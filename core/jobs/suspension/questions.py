"""Questions to people: valid answers, and recording an answer. Only the edge commits."""

import re
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.jobs import leases
from core.jobs.records import JobRecord
from core.jobs.states import JobState, Reason
from core.jobs.suspension import repository
from core.jobs.suspension.records import Question
from core.jobs.trail import actor_parameters, digest_of
from core.keys.clearance import require_cleared
from core.keys.principal import Principal
from core.keys.repository import is_of_one_hand
from core.kit.db import Executor
from core.kit.errors import Conflict, NotFound, PermissionDenied, Unprocessable
from core.kit.ids import JOB, KEY, encode
from core.kit.json_values import dumps

_KEY = re.compile(r"[!-~](?:[ -~]{0,198}[!-~])?", re.ASCII)


class NotWaiting(Conflict):
    """The job does not wait for an answer."""

    default_code = "job_not_waiting"


class QuestionAnswered(Conflict):
    """Another answer was given first."""

    default_code = "question_answered"


class QuestionTimedOut(Conflict):
    """The question timed out; the job has resumed, or is about to."""

    default_code = "question_timed_out"


class SelfApproval(PermissionDenied):
    """The job's caller may not approve the effect it asks for."""

    default_code = "self_approval"


def schema_of(schema: type[BaseModel] | Mapping[str, Any]) -> dict[str, Any]:
    """`schema` as JSON Schema (draft 2020-12). Raises ValueError if invalid, or without linear expressions."""
    from jsonschema import Draft202012Validator, SchemaError

    from core.kit.expressions import check_patterns

    found = dict(schema) if isinstance(schema, Mapping) else schema.model_json_schema()
    try:
        Draft202012Validator.check_schema(found)
    except SchemaError as error:
        raise ValueError(f"the question's schema is not a JSON Schema: {error.message}") from error
    check_patterns(found)
    return found


def check_key(key: str) -> None:
    """Raise ValueError unless `key` can name a question or a child: 1 to 200 printable ASCII characters."""
    if _KEY.fullmatch(key) is None:
        raise ValueError(f"a key is 1 to 200 printable ASCII characters without surrounding blanks, not {key!r}")


def open_questions(executor: Executor, principal: Principal, job: JobRecord) -> list[Question]:
    """The questions that wait for a person's answer; empty when the job waits for no one."""
    if job.state is not JobState.WAITING or job.reason != Reason.INPUT:
        return []
    asked = repository.questions(executor, principal.organization_id, job.id)
    return [question for question in asked if question.is_open]


def answer(  # noqa: PLR0917 - who answers what, and with what
    session: Session,
    principal: Principal,
    job_id: UUID,
    key: str | None,
    value: Any,
    four_eyes: Collection[str] = ("write", "money"),
) -> tuple[JobRecord, bool]:
    """Answer the question `key`, or the only open one, and put the job back in the queue.

    Returns the job, and whether this resumed it: repeating the same answer changes nothing. `four_eyes` are the effects
    that someone other than the job's caller must approve. Raises `NotFound`, `SelfApproval`, `Unprocessable` (naming
    the path in the value), `QuestionAnswered` for an answer that differs from the first, `QuestionTimedOut` and
    `NotWaiting`. The audit record holds the digest of the value, never the value.
    """
    job = repository.lock_job(session, principal, job_id)
    if job is None:
        raise NotFound(f"there is no job {encode(JOB, job_id)} in this project", code="job_not_found")
    require_cleared(principal, job.data_class)
    question = _choose(repository.questions(session, principal.organization_id, job_id), job, key)
    if question.approves in four_eyes:
        _require_other_hands(session, principal, job, question.approves)
    if question.answered_at is not None:
        if not _same(question.value, value):
            raise QuestionAnswered(f"the question {question.key!r} was answered differently before", key=question.key)
        return job, False
    if question.timed_out_at is not None:
        raise _timed_out(question)
    _require_waiting(job)
    _validate(question.schema, value)
    actor = principal.actor
    stored = repository.answer(
        session,
        principal.organization_id,
        job_id,
        question.key,
        value=value,
        answered_by=actor.id or actor.kind,
    )
    if not stored:
        raise _timed_out(question)
    record(
        session,
        principal.organization_id,
        principal.project_id,
        AuditAction.JOB_ANSWER,
        subject_id=encode(JOB, job_id),
        actor=actor,
        attempt=job.attempt,
        payload_digest=digest_of({"value": value}),
        detail={"key": question.key},
    )
    leases.resume(session, job_id, Reason.INPUT, actor_parameters(principal))
    resumed = repository.lock_job(session, principal, job_id)
    if resumed is None:
        raise RuntimeError("a locked job has vanished")
    return resumed, True


def _require_other_hands(session: Session, principal: Principal, job: JobRecord, effect: str | None) -> None:
    """Refuse the job's own caller, and every key that this caller created or that replaced it."""
    asked_by = job.submitted_by or (None if job.key_id is None else encode(KEY, job.key_id))
    if asked_by is None or principal.submitter is None:
        return
    if principal.submitter == asked_by:
        who = "it was submitted by you"
    elif principal.key_id is not None and is_of_one_hand(
        session, principal.organization_id, principal.key_id, asked_by
    ):
        who = "the key that submitted it created yours, or one replaced the other"
    else:
        return
    message = (
        f"another person must approve this ({effect}): {who}; answer as another person, or with a key that someone else"
        " created and that has the scope jobs:answer"
    )
    raise SelfApproval(message, approves=effect, submitted_by=asked_by)


def _choose(asked: list[Question], job: JobRecord, key: str | None) -> Question:
    if key is not None:
        for question in asked:
            if question.key == key:
                return question
        raise NotFound(f"this job has not asked a question {key!r}", code="question_not_found")
    waiting = [question for question in asked if question.is_open]
    if len(waiting) > 1:
        keys = ", ".join(repr(question.key) for question in waiting)
        message = f"this job has asked more than one question: name {keys}"
        problem = {"path": "body.key", "code": "key_required", "message": message}
        raise Unprocessable(message, errors=[problem])
    if waiting:
        return waiting[0]
    if len(asked) == 1:
        return asked[0]
    _require_waiting(job)
    raise NotWaiting("this job waits for input without having asked a question")


def _require_waiting(job: JobRecord) -> None:
    if job.state is not JobState.WAITING or job.reason != Reason.INPUT:
        raise NotWaiting(f"this job does not wait for input: it is {job.state}")


def _validate(schema: Mapping[str, Any], value: Any) -> None:
    from jsonschema.exceptions import best_match

    from core.kit.expressions import validator_of

    validator = validator_of(schema)
    problems = [
        {
            "path": ".".join(["body", "value", *map(str, error.absolute_path)]),
            "code": "answer_invalid",
            "message": error.message[:500],
        }
        for error in sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.path)))
    ]
    if problems:
        worst = best_match(validator.iter_errors(value))
        place = ".".join(["body", "value", *map(str, worst.absolute_path)]) if worst is not None else "body.value"
        raise Unprocessable(f"the answer does not match the question's schema at {place}", errors=problems[:50])


def _same(first: Any, second: Any) -> bool:
    return dumps(first, sort_keys=True) == dumps(second, sort_keys=True)


def _timed_out(question: Question) -> QuestionTimedOut:
    return QuestionTimedOut(f"the time to answer {question.key!r} is up", key=question.key)
