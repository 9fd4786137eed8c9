"""The overview that pages and ``waybill top`` ask for, over roll-ups of ten million jobs of one organization.

``python -m tests.bench rollups``. Filled straight into the tables: every hour and day of 90, and every minute of the
last two days (minutes before lie elsewhere in the index and are not read).
"""

import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import perf_counter

import psycopg
from pydantic import SecretStr

from core.kit.db import Database
from core.kit.ids import new_id
from core.kit.migrate import upgrade
from core.kit.settings import Settings
from core.ledger.reports.records import Reach
from core.rollups import repository
from core.rollups.collect import floor_to
from core.rollups.records import Grain
from core.rollups.repository import Dimension, Selection
from tests.bench.rows import Row, bounded
from waybill.stack.postgres import EmbeddedPostgres

_JOBS = 10_000_000
_DAYS = 90
_PROJECTS, _CAPABILITIES, _STATES = 10, 5, 3
_ROUNDS = 15
# Thirty buckets a sketch: what a group of a few hundred jobs within an hour fills.
_FILL = """
WITH sketch AS (
  SELECT jsonb_object_agg(n::text, 10) AS counts FROM generate_series(40, 69) AS n
), moments AS (
  SELECT moment FROM generate_series(date_trunc('{grain}', now(), 'UTC') - interval '{past}',
    date_trunc('{grain}', now(), 'UTC'), interval '1 {grain}') AS moment
), places AS (
  SELECT p AS project, c AS capability, s AS state
  FROM generate_series(0, {projects}) p, generate_series(1, {capabilities}) c, generate_series(1, {states}) s
)
INSERT INTO job_rollups (grain, bucket, organization_id, project_id, capability, state, jobs, failures, outages,
  cost_usd, wait, duration)
SELECT '{grain}', moment, %(organization)s,
  CASE project WHEN 0 THEN '00000000-0000-0000-0000-000000000000' ELSE md5('project' || project) END::uuid,
  'capability.' || capability,
  (ARRAY['succeeded', 'failed', 'expired'])[state], {jobs}, 0, 0, 1, counts,
  CASE state WHEN 1 THEN counts ELSE '{{}}' END
FROM moments, places, sketch
"""
_CALLS = """
INSERT INTO call_rollups (grain, bucket, organization_id, project_id, key_id, capability, provider, model,
  model_version, calls, estimated_calls, lost_calls, unpriced_calls, amount_usd, quantities, duration)
SELECT grain, bucket, organization_id, project_id, project_id, capability, 'openai', 'gpt-4o', NULL, 2 * jobs, 0, 0, 0,
  1, '{"input_tokens": 100000, "output_tokens": 9000}', duration
FROM job_rollups WHERE state = 'succeeded'
"""


def run() -> list[Row]:
    """The rows of this benchmark: medians of fifteen overviews."""
    folder = Path(tempfile.mkdtemp(prefix="waybill-bench-"))
    postgres = EmbeddedPostgres(folder / "postgres", settings={})
    postgres.start()
    try:
        upgrade(postgres.url)
        organization = new_id()
        _fill(postgres.url, organization)
        settings = Settings(home=folder, database_url=SecretStr(postgres.url), database_statement_timeout_seconds=120)
        database = Database(settings, application_name="bench", pool_size=2)
        try:
            return [
                _overview(database, organization, name, grain, length)
                for name, grain, length in (
                    ("overview of 24 hours", Grain.HOUR, timedelta(hours=24)),
                    ("overview of 90 days", Grain.DAY, timedelta(days=90)),
                    ("top of 15 minutes", Grain.MINUTE, timedelta(minutes=15)),
                )
            ]
        finally:
            database.close()
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _fill(url: str, organization: object) -> None:
    groups = _PROJECTS * _CAPABILITIES * _STATES
    hourly = _JOBS // (_DAYS * 24 * groups)
    with psycopg.connect(url, autocommit=True) as connection:
        for grain, past, jobs in (
            ("hour", "89 days", hourly),
            ("day", "89 days", hourly * 24),
            ("minute", "2 days", 1),
        ):
            shape = {"projects": _PROJECTS, "capabilities": _CAPABILITIES, "states": _STATES, "jobs": jobs}
            connection.execute(_FILL.format(grain=grain, past=past, **shape), {"organization": organization})
        connection.execute(_CALLS)
        connection.execute("ANALYZE")


def _overview(database: Database, organization: object, name: str, grain: Grain, length: timedelta) -> Row:
    now = datetime.now(UTC)
    selection = Selection(Reach(organization, None), grain, floor_to(grain, now - length), now)  # type: ignore[arg-type]
    single = database.single_tenant(selection.reach.organization_id)
    took: list[float] = []
    for _ in range(_ROUNDS):
        began = perf_counter()
        found = repository.read(single, selection, Dimension.CAPABILITY)
        repository.by_group(found)
        repository.total(found)
        took.append((perf_counter() - began) * 1000)
    return bounded(f"rollups: {name}", "ms", median(took), at_most=100.0)
