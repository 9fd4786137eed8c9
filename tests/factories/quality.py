"""Jobs that have ended, with all that their signals are derived from, written straight into the tables."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
import psycopg

from core.jobs.service import PayloadStore
from core.kit.blob import open_blob_store
from core.kit.db import Database
from core.kit.ids import QUALITY_ALERT, encode, new_id
from core.kit.settings import Settings
from core.quality import streams
from core.quality.alerts import repository as alerts
from core.quality.alerts.records import Direction, NewAlert
from core.quality.collection import Collected, collect_once
from core.quality.detection import Raised
from core.quality.signals import Signal
from core.quality.statistics.stream import Stream
from core.quality.streams import Key
from tests.factories.waiting import wait_until

SEARCH = "knowledge.search"


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that has ended. `tools` are statuses of tool calls, None for one that never finished."""

    result: Mapping[str, Any] | None = None
    input: Mapping[str, Any] = field(default_factory=lambda: {"query": "How long may a claim be filed?"})
    state: str = "succeeded"
    capability: str = SEARCH
    model_version: str | None = None
    failures: int = 0
    tools: Sequence[str | None] = ()
    answers: Sequence[Mapping[str, Any]] = ()
    is_shadow: bool = False
    ended_at: datetime | None = None
    id: UUID = field(default_factory=new_id)


def answer(verified: int = 2, dropped: int = 0, *, answered: bool = True, prompt: str = "sha256:p") -> dict[str, Any]:
    """A result of `knowledge.search` as far as signals read it."""
    return {
        "mode": "answer",
        "answer": "Within seven days [1].",
        "answered": answered,
        "citations": [{"quote": "q"}] * verified,
        "dropped_quotes": dropped,
        "prompt": prompt,
    }


def write_ended(database_url: str, organization_id: UUID, project_id: UUID, jobs: Iterable[Ended]) -> list[UUID]:
    """Add the jobs, each with its last event, in one transaction; returns their ids."""
    written = list(jobs)
    now = datetime.now(UTC)
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        for each in written:
            ended = each.ended_at or now
            cursor.execute(
                "INSERT INTO jobs (id, organization_id, project_id, capability, pool, state, reason, failures, input,"
                " result, created_at, started_at, finished_at, shadow_arm_id)"
                " VALUES (%s, %s, %s, %s, 'probe', %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    *(each.id, organization_id, project_id, each.capability, each.state),
                    *(None if each.state == "succeeded" else "tested", each.failures),
                    *(orjson.dumps(each.input).decode(), _json(each.result)),
                    *(ended - timedelta(seconds=2), ended - timedelta(seconds=1), ended),
                    new_id() if each.is_shadow else None,
                ),
            )
            events: list[tuple[str, dict[str, str | None]]] = [("tool.called", {})] * len(each.tools)
            events += [("tool.finished", {"status": status}) for status in each.tools if status is not None]
            events.append((f"job.{each.state}", {}))
            for number, (kind, data) in enumerate(events, start=1):
                cursor.execute(
                    "INSERT INTO job_events (job_id, id, previous, organization_id, type, attempt, data)"
                    " VALUES (%s, %s, %s, %s, %s, 1, %s)",
                    (each.id, number, number - 1, organization_id, kind, orjson.dumps(data).decode()),
                )
            for number, value in enumerate(each.answers):
                cursor.execute(
                    "INSERT INTO job_questions (job_id, key, organization_id, question, schema, due_at, value,"
                    " answered_by, answered_at) VALUES (%s, %s, %s, 'May it?', '{}', now(), %s, 'key_x', now())",
                    (each.id, f"q{number}", organization_id, orjson.dumps(value).decode()),
                )
            if each.model_version is not None:
                for entry, kind in ((0, "intent"), (1, "settlement")):
                    cursor.execute(
                        "INSERT INTO ledger_entries (job_id, attempt, call, entry, organization_id, project_id,"
                        " root_job_id, kind, capability, provider, model, model_version, quantities, bound_usd,"
                        " amount_usd) VALUES (%s, 1, 1, %s, %s, %s, %s, %s, %s, 'p', 'm', %s,"
                        """ '{"output_tokens": "5"}', 0, 0)""",
                        (
                            *(each.id, entry, organization_id, project_id, each.id, kind, each.capability),
                            each.model_version,
                        ),
                    )
    return [each.id for each in written]


def write_alert(settings: Settings, organization_id: UUID, *, version: str = "") -> str:
    """An open alert about quotes of `knowledge.search`, with the stream that it is about; returns its id."""
    database = Database(settings, application_name="test-quality", pool_size=1)
    stream = Stream()
    stream.recent.count, stream.recent.total = 400, 300.0
    new = NewAlert(
        organization_id=organization_id,
        capability=SEARCH,
        model_version=version,
        signal=Signal.QUOTES_VERIFIED,
        direction=Direction.LOWER,
        is_worse=True,
        baseline_version="local/old",
        baseline_mean=0.9,
        baseline_jobs=1000,
        observed_mean=0.7,
        observed_jobs=120,
        evidence=8.5,
        threshold=7.6,
        began_at=datetime(2026, 11, 3, 10, 30, tzinfo=UTC),
        job_ids=[new_id() for _ in range(10)],
    )
    with database.system() as session:
        streams.save(session, {Key(organization_id, SEARCH, new.signal, version): stream.as_json()})
        made = alerts.insert(session, new)
    database.close()
    assert made is not None
    return encode(QUALITY_ALERT, made)


class Collector:
    """Collects until everything that was written has been read."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._database = database
        self._payloads = PayloadStore(settings, open_blob_store(settings))

    def once(self, limit: int = 200) -> Collected:
        """One round."""
        return collect_once(self._database, self._payloads, limit=limit)

    def collect(self, jobs: int = 0, *, rated: int = 0, limit: int = 200) -> list[Raised]:
        """Wait until so many jobs were read and ratings taken: other transactions hold the horizon back for a while."""
        counts = [0, 0]
        raised: list[Raised] = []

        def is_done() -> bool:
            found = self.once(limit)
            counts[0] += found.jobs
            counts[1] += found.rated
            raised.extend(found.raised)
            return counts[0] >= jobs and counts[1] >= rated

        wait_until(is_done, timeout_seconds=120, what=f"{jobs} jobs to be collected")
        assert counts == [jobs, rated]
        return raised


def _json(value: Mapping[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
