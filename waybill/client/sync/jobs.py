"""Jobs: submit, find, list; and the handle of one: read, wait, follow, answer, cancel, rate."""

# Written by `python -m waybill.client.generate` from aio/jobs.py: change that, and run it again.

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from waybill.client.bodies import given
from waybill.client.errors import WaitTimedOut
from waybill.client.handles import JobHandle
from waybill.client.models import Artifact, Event, Feedback, JobCost, JobRecord, JobTree, Page
from waybill.client.positions import JobPosition
from waybill.client.sync.audit import Audit
from waybill.client.sync.endpoints import Endpoints
from waybill.client.sync.files import Files
from waybill.client.sync.streaming import EventStream
from waybill.client.sync.transport import Transport
from waybill.client.sync.waiting import sleep

_JOBS = "/v1/jobs"
_POLL_SECONDS = 30


class Job(JobHandle):
    """A job that can be waited for, followed, answered, cancelled and rated.

    What its members say is what the API said last; every method that asks the API about the job renews them.
    """

    def __init__(self, jobs: "Jobs", record: JobRecord) -> None:
        super().__init__(record)
        self._jobs = jobs

    def refresh(self) -> Self:
        """Get the current state of the job."""
        return self._renew()

    def wait(self, *, timeout_seconds: float | None = None, or_question: bool = False) -> Self:
        """Wait until the job has ended; with `or_question` also until it asks a person something.

        Raises `WaitTimedOut`, which is a `TimeoutError`, after `timeout_seconds`; the job keeps running.
        """
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        if not self.is_whole:
            self._renew()
        while not (self.is_terminal or (or_question and self.questions)):
            left = _POLL_SECONDS if until is None else until - time.monotonic()
            if left <= 0:
                raise WaitTimedOut(self.id, self.state, timeout_seconds or 0.0)
            if left < 1:
                sleep(left)
            self._renew(wait_seconds=int(min(left, _POLL_SECONDS)))
        return self

    def stream(
        self,
        *,
        after: int | str | None = None,
        give_up_seconds: float = 60.0,
        on_reconnect: Callable[[str], None] | None = None,
        on_alive: Callable[[], None] | None = None,
    ) -> EventStream[Event]:
        """The job's events above `after` until it ends, each once, across broken connections.

        When the last one was taken, the handle is renewed: `result` is there right after the loop.
        """
        return EventStream(
            self._jobs.transport,
            JobPosition(self.id, after),
            give_up_seconds=give_up_seconds,
            on_reconnect=on_reconnect,
            on_alive=on_alive,
            on_end=self.refresh,
        )

    def cancel(self) -> Self:
        """Ask for cancellation. An idle job is cancelled at once; a running one stops at its next step."""
        return self._take(self._jobs.cancel(self.id))

    def answer(self, value: Any, *, key: str | None = None) -> Self:
        """Answer what the job has asked; `key` names the question when more than one is open.

        The same answer again changes nothing. Raises `Conflict` when another one was first or the job does not wait,
        `InvalidRequest` with the path of what does not match the question's schema.
        """
        return self._take(self._jobs.answer(self.id, value, key=key))

    def cost(self) -> JobCost:
        """What it has cost, line by line."""
        return self._jobs.cost(self.id)

    def tree(self) -> JobTree:
        """The job and all jobs below it, with what each has cost."""
        return self._jobs.tree(self.id)

    def artifacts(self) -> tuple[Artifact, ...]:
        """The files that it left behind, by name."""
        return Files(self._jobs.transport).artifacts(self.id)

    def waybill(self) -> dict[str, Any]:
        """Its signed waybill, exactly as the API sent it. Raises `Conflict` before it has ended."""
        return Audit(self._jobs.transport).waybill(self.id)

    def feedback(self, score: float, comment: str | None = None) -> Feedback:
        """Say what its result was worth, from 0 to 1; the last word counts. Raises `Conflict` before it has ended."""
        return self._jobs.rate(self.id, score, comment)

    def _renew(self, *, wait_seconds: int = 0) -> Self:
        return self._take(self._jobs.get(self.id, wait_seconds=wait_seconds))

    def _take(self, other: JobHandle) -> Self:
        self.record = other.record
        return self


class Jobs(Endpoints):
    """``/v1/jobs``."""

    @property
    def transport(self) -> Transport:
        """What the jobs are asked for over."""
        return self._transport

    def submit(
        self,
        capability: str,
        payload: Mapping[str, Any],
        *,
        metadata: Mapping[str, Any] | None = None,
        priority: str | None = None,
        run_at: datetime | str | None = None,
        deadline_seconds: int | None = None,
        max_attempts: int | None = None,
        max_cost_usd: Decimal | str | None = None,
        webhook: Mapping[str, Any] | None = None,
        data_class: str | None = None,
        idempotency_key: str | None = None,
        wait_seconds: int = 0,
    ) -> Job:
        """Ask for `capability` with `payload` as its input. With `wait_seconds` the answer may be the finished job.

        `run_at` is the moment before which it does not run; `max_cost_usd` is what it may cost at most; `webhook` is a
        receiver for this job alone: `url`, and perhaps `events` and `include_result`; `data_class` says how sensitive
        the input is: ``public``, ``internal``, ``confidential`` or ``restricted``.
        A fresh idempotency key is used unless one is given, so retries inside this call never submit twice.
        """
        optional = given(
            metadata=dict(metadata) if metadata else None,
            priority=priority,
            run_at=run_at,
            deadline_seconds=deadline_seconds,
            max_attempts=max_attempts,
            max_cost_usd=max_cost_usd,
            webhook=dict(webhook) if webhook else None,
            data_class=data_class,
        )
        record = self._post(
            JobRecord,
            _JOBS,
            {"capability": capability, "input": dict(payload), **optional},
            headers={"Prefer": f"wait={wait_seconds}"} if wait_seconds else {},
            idempotency_key=idempotency_key,
            wait_seconds=wait_seconds,
        )
        return Job(self, record)

    def get(self, job_id: str, *, wait_seconds: int = 0) -> Job:
        """The job, at once; with `wait_seconds`, when it changes or that long has passed."""
        params = {"wait": wait_seconds} if wait_seconds else None
        return Job(self, self._get(JobRecord, f"{_JOBS}/{job_id}", params, wait_seconds=wait_seconds))

    def wait(self, job_id: str, *, timeout_seconds: float | None = None) -> Job:
        """The job once it has ended. Raises `WaitTimedOut`, a `TimeoutError`, after `timeout_seconds`."""
        job = self.get(job_id)
        return job.wait(timeout_seconds=timeout_seconds)

    def list(
        self,
        *,
        states: Sequence[str] = (),
        capability: str | None = None,
        metadata: Mapping[str, str] | None = None,
        created_after: datetime | str | None = None,
        created_before: datetime | str | None = None,
        shadows: bool = False,
        project: str | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[Job]:
        """One page of the project's jobs, newest first; with `shadows` those that shadow arms ran, instead.

        `project` is the id of another project, or ``all`` for every project of the organization.
        A listing holds neither results nor questions: `refresh` and `wait` of a job fetch them.
        """
        params = given(
            limit=limit,
            state=[*states] or None,
            capability=capability,
            created_after=created_after,
            created_before=created_before,
            shadows=shadows or None,
            project=project,
            cursor=cursor,
            **{f"metadata[{name}]": value for name, value in (metadata or {}).items()},
        )
        page = self._get(Page[JobRecord], _JOBS, params)
        handles = [Job(self, record) for record in page.data]
        return Page[Job](data=handles, next_cursor=page.next_cursor)

    def cancel(self, job_id: str) -> Job:
        """Ask for cancellation. An idle job is cancelled at once; a running one stops at its next step."""
        return Job(self, self._post(JobRecord, f"{_JOBS}/{job_id}/cancel"))

    def answer(self, job_id: str, value: Any, *, key: str | None = None) -> Job:
        """Answer what a waiting job has asked; `key` names the question when more than one is open.

        The same answer again changes nothing. Raises `Conflict` when another one was first or the job does not wait,
        `InvalidRequest` with the path of what does not match the question's schema.
        """
        body = {"value": value, **given(key=key)}
        return Job(self, self._post(JobRecord, f"{_JOBS}/{job_id}/input", body))

    def cost(self, job_id: str) -> JobCost:
        """What the job has cost: the ledger's lines of every attempt."""
        return self._get(JobCost, f"{_JOBS}/{job_id}/cost")

    def tree(self, job_id: str) -> JobTree:
        """The job and all jobs below it, with what each has cost."""
        return self._get(JobTree, f"{_JOBS}/{job_id}/tree")

    def rate(self, job_id: str, score: float, comment: str | None = None) -> Feedback:
        """Say what its result was worth, from 0 to 1. Raises `Conflict` before it has ended."""
        body = given(score=score, comment=comment or None)
        return self._post(Feedback, f"{_JOBS}/{job_id}/feedback", body)

    def events(
        self,
        job_id: str,
        *,
        after: int | str | None = None,
        give_up_seconds: float = 60.0,
        on_reconnect: Callable[[str], None] | None = None,
        on_alive: Callable[[], None] | None = None,
    ) -> EventStream[Event]:
        """The job's events above `after` until it ends, each once, across broken connections."""
        return EventStream(
            self._transport,
            JobPosition(job_id, after),
            give_up_seconds=give_up_seconds,
            on_reconnect=on_reconnect,
            on_alive=on_alive,
        )
