"""The SQL of a project's events, on the streams' own connections."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import psycopg
import psycopg_pool

from api.project_events.records import EventPage, Place, ProjectEvent, before_position
from core.jobs.records import Event
from core.jobs.states import JobState
from core.kit.data_classes import DataClass
from core.kit.db import APP_ROLE
from core.kit.errors import Unavailable

PAGE = 500

_ASSUME = (
    "SELECT set_config('role', %s, true), set_config('waybill.organization_id', %s, true),"
    " set_config('statement_timeout', %s, true)"
)
# One statement, so one snapshot: the horizon and the rows are consistent with each other.
_READ = """
SELECT horizon.position, (SELECT coalesce(max(position), 0) FROM job_events_dropped), found.*
FROM (SELECT events_horizon() AS position) AS horizon
LEFT JOIN LATERAL (
  SELECT event.position, event.job_id, event.id, event.previous, event.type, event.attempt, event.data,
    event.created_at, job.capability, job.state, job.metadata, job.data_class
  FROM job_events AS event JOIN jobs AS job ON job.id = event.job_id
  WHERE event.organization_id = %(organization)s AND job.organization_id = %(organization)s
    AND job.project_id = %(project)s AND job.shadow_arm_id IS NULL
    AND (event.position, event.job_id, event.id) > (%(position)s, %(job)s, %(event)s)
  ORDER BY event.position, event.job_id, event.id LIMIT %(limit)s
) AS found ON true
"""
_HORIZON = "SELECT events_horizon()"


@dataclass(frozen=True, slots=True)
class EventReader:
    """Reads pages of events. Raises `Unavailable` when Postgres does not answer."""

    pool: "psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[Any]]"
    timeout_ms: str

    async def horizon(self, organization_id: UUID) -> Place:
        """The place below which everything is final now: the start of a stream of new events."""
        rows = await self._fetch(organization_id, _HORIZON, {})
        return before_position(rows[0][0])

    async def page(self, organization_id: UUID, project_id: UUID, after: Place) -> EventPage:
        """The first `PAGE` events above `after`, without those that an open transaction may still precede."""
        parameters = {
            "organization": organization_id,
            "project": project_id,
            "position": after.position,
            "job": after.job_id,
            "event": after.event_id,
            "limit": PAGE,
        }
        rows = await self._fetch(organization_id, _READ, parameters)
        horizon, lost_below = rows[0][:2]
        found = [_event(row[2:]) for row in rows if row[2] is not None]
        final = tuple(event for event in found if event.place.position < horizon)
        is_held = len(final) < len(found)
        is_cut = len(found) == PAGE and not is_held
        end = final[-1].place if is_cut else max(after, before_position(horizon))
        return EventPage(final, end, is_cut, is_held, lost_below)

    async def _fetch(self, organization_id: UUID, statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        try:
            async with self.pool.connection() as connection, connection.transaction(), connection.pipeline():
                await connection.execute(_ASSUME, (APP_ROLE, str(organization_id), self.timeout_ms))
                cursor = await connection.execute(statement, parameters)
                rows: list[tuple[Any, ...]] = await cursor.fetchall()
        except (psycopg.OperationalError, psycopg_pool.PoolTimeout) as error:
            raise Unavailable("the database does not answer", code="database_unavailable") from error
        return rows


def _event(row: tuple[Any, ...]) -> ProjectEvent:
    position, job_id, number, previous, kind, attempt, data, created_at, capability, state, metadata, data_class = row
    event = Event(job_id, number, previous, kind, attempt, data, created_at)
    return ProjectEvent(
        Place(position, job_id, number), event, capability, JobState(state), metadata or {}, DataClass(data_class)
    )
