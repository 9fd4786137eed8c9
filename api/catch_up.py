"""Reads the persisted events of many jobs in one query, so thousands of streams that open at once cost few queries."""

import asyncio
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import psycopg_pool

from core.jobs.records import Event
from core.jobs.states import JobState
from core.kit.db import APP_ROLE
from core.kit.errors import Unavailable

PAGE = 500
_JOBS_MAX = 100
# One connection is reserved for project streams.
_QUERIES_MAX = 2

_ASSUME = (
    "SELECT set_config('role', %s, true), set_config('waybill.organization_id', %s, true),"
    " set_config('statement_timeout', %s, true)"
)
_READ = """
SELECT wanted.number, job.state, event.*
FROM unnest(%(jobs)s::uuid[], %(after)s::bigint[]) WITH ORDINALITY AS wanted (job_id, after, number)
LEFT JOIN jobs AS job ON job.id = wanted.job_id AND job.organization_id = %(organization)s
LEFT JOIN LATERAL (
  SELECT job_id, id, previous, type, attempt, data, created_at FROM job_events
  WHERE job_id = wanted.job_id AND id > wanted.after AND organization_id = %(organization)s ORDER BY id LIMIT %(limit)s
) AS event ON true
ORDER BY wanted.number, event.id
"""


@dataclass(frozen=True, slots=True)
class PersistedEvents:
    """A job's state (None if there is no such job) and a page of its persisted events."""

    state: JobState | None
    events: list[Event]

    @property
    def is_cut(self) -> bool:
        """Whether there are more events."""
        return len(self.events) == PAGE


@dataclass(frozen=True, slots=True)
class _Question:
    job_id: UUID
    after: int
    answer: "asyncio.Future[PersistedEvents]" = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


class PersistedEventReader:
    """Gathers requests by organization while earlier queries run. At most two queries run at once."""

    def __init__(self, pool: "psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[Any]]", timeout_ms: str) -> None:
        self._pool = pool
        self._timeout_ms = timeout_ms
        self._waiting: dict[UUID, list[_Question]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def read(self, organization_id: UUID, job_id: UUID, after: int) -> PersistedEvents:
        """The first events above `after`. Raises `Unavailable` when Postgres does not answer."""
        question = _Question(job_id, after)
        self._waiting.setdefault(organization_id, []).append(question)
        if len(self._tasks) < _QUERIES_MAX:
            task = asyncio.create_task(self._drain())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await question.answer

    async def close(self) -> None:
        """Stop. Waiting requests fail with `Unavailable`."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _drain(self) -> None:
        while self._waiting:
            organization_id = next(iter(self._waiting))
            # Moved to the end of the queue, so that one organization's thousands do not delay the others.
            waiting = self._waiting.pop(organization_id)
            questions, rest = waiting[:_JOBS_MAX], waiting[_JOBS_MAX:]
            if rest:
                self._waiting[organization_id] = rest
            try:
                found = await self._fetch(organization_id, questions)
            except BaseException as error:
                refusal = Unavailable("the database does not answer", code="database_unavailable")
                for question in questions:
                    if not question.answer.done():
                        question.answer.set_exception(refusal)
                if not isinstance(error, (psycopg.Error, psycopg_pool.PoolTimeout)):
                    raise
                continue
            for question, persisted in zip(questions, found, strict=True):
                if not question.answer.done():
                    question.answer.set_result(persisted)

    async def _fetch(self, organization_id: UUID, questions: list[_Question]) -> list[PersistedEvents]:
        parameters = {
            "jobs": [question.job_id for question in questions],
            "after": [question.after for question in questions],
            "organization": organization_id,
            "limit": PAGE,
        }
        async with self._pool.connection() as connection, connection.transaction(), connection.pipeline():
            await connection.execute(_ASSUME, (APP_ROLE, str(organization_id), self._timeout_ms))
            cursor = await connection.execute(_READ, parameters)
            rows = await cursor.fetchall()
        found = [PersistedEvents(None, []) for _ in questions]
        for number, state, *event in rows:
            events = found[number - 1].events
            if event[0] is not None:
                events.append(Event(*event))
            found[number - 1] = PersistedEvents(None if state is None else JobState(state), events)
        return found
