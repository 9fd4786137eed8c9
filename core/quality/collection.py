"""Collects: reads each ended job once, writes its signals, and looks for changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import text

from core.jobs import endings
from core.jobs.endings import Reader
from core.jobs.service import PayloadStore
from core.kit.blob import BlobNotFound
from core.kit.db import Database
from core.quality import detection, feed, late, repository
from core.quality.detection import Raised
from core.quality.reading import context_of, values_of, words_of
from core.quality.records import Context, EndedJob
from core.quality.repository import Measured

BATCH = 200
_NOW = text("SELECT now()")


@dataclass(slots=True)
class Collected:
    """The result of a round. `jobs` were read for the first time, `rated` ones again for new ratings."""

    jobs: int = 0
    rated: int = 0
    raised: list[Raised] = field(default_factory=list)

    @property
    def is_more(self) -> bool:
        """Whether more may be ready now."""
        return self.jobs >= BATCH or self.rated >= BATCH


def collect_once(database: Database, payloads: PayloadStore, *, limit: int = BATCH) -> Collected:
    """Collect at most `limit` jobs and as many ratings, in one transaction: even when killed, none counts twice.

    Does nothing while another collector works.
    """
    collected = Collected()
    with database.system() as session:
        after = endings.take_cursor(session, Reader.QUALITY)
        if after is None:
            return collected
        ended = endings.ended_after(session, after, limit)
        pending = late.take_pending(session, limit)
        if not ended and not pending:
            return collected
        found = feed.facts_of(session, [each.job_id for each in ended], _reader(payloads)) if ended else {}
        jobs = [found[each.job_id] for each in ended if each.job_id in found]
        measured, words = _measure(jobs)
        repository.insert(session, measured)
        repository.insert_words(session, words)
        # Newly read jobs already have their ratings; those of the others are replaced.
        new = {job.id for job in jobs}
        measured += late.replace(session, [job_id for job_id in pending if job_id not in new])
        now = session.execute(_NOW).scalar_one()
        collected.raised = detection.observe(session, measured, now)
        collected.raised += detection.look_for_drift(session, [context for context, _ in words], now)
        if ended:
            endings.move_cursor(session, Reader.QUALITY, ended[-1])
        collected.jobs, collected.rated = len(ended), len(pending)
    return collected


def _measure(jobs: Sequence[EndedJob]) -> tuple[list[Measured], list[tuple[Context, bytes]]]:
    measured: list[Measured] = []
    words: list[tuple[Context, bytes]] = []
    for job in jobs:
        context = context_of(job)
        values = values_of(job)
        measured += [Measured(context, value) for value in values]
        histogram = words_of(job.input) if values and job.input is not None and not job.is_shadow else None
        if histogram is not None:
            words.append((context, histogram))
    return measured, words


def _reader(payloads: PayloadStore) -> feed.Read:
    def read(inline: dict[str, Any] | None, reference: str | None) -> Mapping[str, Any] | None:
        try:
            return payloads.get(inline, reference)
        except BlobNotFound:
            return None  # erased since the job ended

    return read
