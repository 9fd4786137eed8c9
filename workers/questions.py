"""Asks a person a question from a running attempt: persists the question, and suspends until the answer is there."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.orm import Session

from core.capability import Answer, JobSuspended
from core.jobs.states import Reason
from core.jobs.suspension import repository
from core.jobs.suspension.questions import check_key, schema_of
from core.kit.db import SingleStatement
from core.kit.json_values import clean_text

Persist = Callable[[str, Mapping[str, Any]], None]


class Attempt(Protocol):
    """The parts of an attempt that a question needs."""

    job_id: UUID
    organization_id: UUID

    @property
    def executor(self) -> SingleStatement:
        """Single statements as the job's tenant."""

    def check(self) -> None:
        """Raise the pending interruption, if any."""

    def persisting(self) -> AbstractContextManager[tuple[Session, Persist]]:
        """A transaction that also persists events, fenced by the attempt."""


def ask(
    attempt: Attempt,
    key: str,
    question: str,
    schema: type[BaseModel] | Mapping[str, Any],
    *,
    details: Mapping[str, Any] | None,
    timeout_seconds: int,
    approves: str | None = None,
) -> Answer:
    """The answer to question `key`. Raises `JobSuspended` until it is there, and ValueError for an invalid question.

    The first wording counts: an attempt that asks again under the same key, perhaps in other words, waits for the
    answer to the question that the person was shown.
    """
    attempt.check()
    check_key(key)
    required = schema_of(schema)
    if timeout_seconds < 1:
        raise ValueError("a question must wait for at least a second")
    for asked in repository.questions(attempt.executor, attempt.organization_id, attempt.job_id):
        if asked.key == key:
            if asked.is_open:
                raise _waits(key, asked.question)
            return Answer(asked.value, asked.answered_by, asked.answered_at, asked.timed_out_at is not None)
    with attempt.persisting() as (session, persist):
        is_new = repository.ask(
            session,
            attempt.job_id,
            attempt.organization_id,
            key,
            question=clean_text(question),
            schema=required,
            details=details,
            timeout_seconds=timeout_seconds,
            approves=approves,
        )
        if is_new:
            shown = {"key": key, "question": question, "schema": required, "details": details, "approves": approves}
            persist("input.required", {**shown, "timeout_seconds": timeout_seconds})
    raise _waits(key, question)


def _waits(key: str, question: str) -> JobSuspended:
    return JobSuspended(Reason.INPUT, {"code": Reason.INPUT, "message": question, "key": key})
