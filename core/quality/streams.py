"""The SQL of streams: the state of each signal of each version, and the baselines for new versions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.jobs.repository import dump
from core.quality.signals import Signal
from core.quality.statistics.cusum import Baseline
from core.quality.statistics.stream import Stream
from core.quality.statistics.thresholds import BASELINE_MIN

_KEYS = """
unnest(CAST(:organizations AS uuid[]), CAST(:capabilities AS text[]), CAST(:signals AS text[]),
  CAST(:versions AS text[])) AS wanted (organization_id, capability, signal, model_version)
"""
# Locked until the transaction ends, in the order of the key, because closing an alert changes a stream too.
_LOAD = text(f"""
SELECT stream.organization_id, stream.capability, stream.signal, stream.model_version, stream.state
FROM quality_streams AS stream JOIN {_KEYS} USING (organization_id, capability, signal, model_version)
ORDER BY 1, 2, 3, 4 FOR UPDATE OF stream
""")
_ALERTED = text(f"""
SELECT alert.organization_id, alert.capability, alert.signal, alert.model_version
FROM quality_alerts AS alert JOIN {_KEYS} USING (organization_id, capability, signal, model_version)
WHERE alert.state <> 'closed'
""")
# Earlier versions, most recently used first.
_BEFORE = text("""
SELECT stream.model_version, stream.state, alert.id IS NOT NULL AS is_alerted
FROM quality_streams AS stream LEFT JOIN quality_alerts AS alert
  ON alert.organization_id = stream.organization_id AND alert.capability = stream.capability
  AND alert.signal = stream.signal AND alert.model_version = stream.model_version AND alert.state <> 'closed'
WHERE stream.organization_id = :organization_id AND stream.capability = :capability AND stream.signal = :signal
  AND stream.model_version <> :model_version
ORDER BY stream.updated_at DESC LIMIT 10
""")
_SAVE = text("""
INSERT INTO quality_streams (organization_id, capability, signal, model_version, state)
VALUES (:organization_id, :capability, :signal, :model_version, CAST(:state AS jsonb))
ON CONFLICT (organization_id, capability, signal, model_version) DO UPDATE SET state = excluded.state,
  updated_at = now()
""")
_WORST = {
    order: text(f"""
SELECT job_id FROM quality_signals
WHERE organization_id = :organization_id AND capability = :capability AND signal = :signal
  AND model_version = :model_version AND ended_at >= :began_at AND NOT is_shadow
ORDER BY numerator / denominator {order}, ended_at DESC, job_id LIMIT :limit
""")
    for order in ("ASC", "DESC")
}
_INPUTS = {
    order: text(f"""
SELECT job_id, words, ended_at FROM quality_inputs
WHERE organization_id = :organization_id AND capability = :capability
  AND (CAST(:since AS timestamptz) IS NULL OR ended_at >= CAST(:since AS timestamptz))
ORDER BY ended_at {order}, job_id {order} LIMIT :limit
""")
    for order in ("ASC", "DESC")
}


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """Identifies a stream. For drift of inputs, which no version causes, `model_version` is empty."""

    organization_id: UUID
    capability: str
    signal: Signal
    model_version: str


def load(session: Session, keys: Iterable[Key]) -> dict[Key, dict[str, Any]]:
    """The states of the existing streams, locked until the transaction ends."""
    return {_to_key(row): row.state for row in session.execute(_LOAD, _arrays(keys))}


def alerted(session: Session, keys: Iterable[Key]) -> set[Key]:
    """The streams with an unclosed alert."""
    return {_to_key(row) for row in session.execute(_ALERTED, _arrays(keys))}


def predecessor(session: Session, key: Key) -> tuple[str, Baseline] | None:
    """The baseline from the previous version, and that version; None when no other has processed enough jobs.

    If that one has an alert, its own baseline is used.
    """
    for row in session.execute(_BEFORE, _parameters(key)):
        stream = Stream.from_json(row.state)
        if row.is_alerted and stream.baseline is not None:
            return stream.baseline_version, stream.baseline
        if stream.known.count >= BASELINE_MIN:
            return row.model_version, Baseline.of(stream.known)
    return None


def save(session: Session, states: Mapping[Key, Mapping[str, Any]]) -> None:
    """Write states, in the order of the key."""
    if states:
        rows = [{**_parameters(key), "state": dump(states[key])} for key in sorted(states)]
        session.execute(_SAVE, rows)


def worst_jobs(session: Session, key: Key, since: datetime, *, lowest_first: bool, limit: int = 10) -> list[UUID]:
    """Jobs of a stream that ended since then, the ones that moved furthest first."""
    parameters = {**_parameters(key), "began_at": since, "limit": limit}
    return list(session.execute(_WORST["ASC" if lowest_first else "DESC"], parameters).scalars())


def inputs(
    session: Session, organization_id: UUID, capability: str, *, since: datetime | None, newest: bool, limit: int
) -> Sequence[tuple[UUID, bytes, datetime]]:
    """Histograms of inputs with their jobs and end times: the first ones since then, or the newest."""
    parameters = {"organization_id": organization_id, "capability": capability, "since": since, "limit": limit}
    rows = session.execute(_INPUTS["DESC" if newest else "ASC"], parameters)
    return [(row.job_id, bytes(row.words), row.ended_at) for row in rows]


def _parameters(key: Key) -> dict[str, Any]:
    return {
        "organization_id": key.organization_id,
        "capability": key.capability,
        "signal": key.signal.value,
        "model_version": key.model_version,
    }


def _arrays(keys: Iterable[Key]) -> dict[str, list[Any]]:
    listed = list(keys)
    return {
        "organizations": [key.organization_id for key in listed],
        "capabilities": [key.capability for key in listed],
        "signals": [key.signal.value for key in listed],
        "versions": [key.model_version for key in listed],
    }


def _to_key(row: Any) -> Key:
    return Key(row.organization_id, row.capability, Signal(row.signal), row.model_version)
