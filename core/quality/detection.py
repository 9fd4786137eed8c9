"""Looks for changes in new measurements, and raises alerts, in the transaction that wrote the signals."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import Actor, record
from core.kit.ids import QUALITY_ALERT, encode
from core.quality import drifting, streams
from core.quality.alerts import repository as alerts
from core.quality.alerts.records import Direction, NewAlert
from core.quality.records import Context
from core.quality.repository import Measured
from core.quality.signals import DEFINITIONS, Signal, Worse
from core.quality.statistics.stream import Change, Stream
from core.quality.streams import Key

CASES = 10
# Older jobs, such as the history of an installation that starts to measure, are learned from and raise no alert.
_FRESH = timedelta(days=1)
_ACTOR = Actor("dispatcher")


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert that was raised."""

    id: UUID
    alert: NewAlert


def observe(session: Session, measured: Sequence[Measured], now: datetime) -> list[Raised]:
    """Count signals, in order, in their streams; returns the raised alerts."""
    shown = [each for each in measured if not each.context.is_shadow]
    keys = {_key(each.context, each.value.signal) for each in shown}
    if not keys:
        return []
    states, alerted = streams.load(session, keys), streams.alerted(session, keys)
    known = {key: Stream.from_json(state) for key, state in states.items()}
    raised: list[Raised] = []
    for each in shown:
        key = _key(each.context, each.value.signal)
        stream = known.get(key)
        if stream is None:
            stream = known[key] = _begin(session, key)
        ended_at = each.context.ended_at
        change = stream.observe(
            DEFINITIONS[key.signal],
            key.model_version,
            each.value.ratio,
            ended_at,
            is_watched=key not in alerted and now - ended_at < _FRESH,
        )
        if change is not None:
            alerted.add(key)
            raised += raise_alert(session, _to_alert(session, key, change))
    streams.save(session, {key: stream.as_json() for key, stream in known.items()})
    return raised


def look_for_drift(session: Session, contexts: Iterable[Context], now: datetime) -> list[Raised]:
    """Compare the words of recent inputs with those of the first ones, if there are enough since the last test."""
    counts: dict[Key, int] = {}
    fresh: set[Key] = set()
    for context in contexts:
        key = Key(context.organization_id, context.capability, Signal.INPUT_WORDS, "")
        counts[key] = counts.get(key, 0) + 1
        if now - context.ended_at < _FRESH:
            fresh.add(key)
    if not counts:
        return []
    states, alerted = streams.load(session, counts), streams.alerted(session, counts)
    raised: list[Raised] = []
    saved: dict[Key, dict[str, Any]] = {}
    for key, count in counts.items():
        state, found = drifting.look(session, key, states.get(key), count, is_watched=key in fresh - alerted)
        saved[key] = state
        if found is not None:
            raised += raise_alert(session, found)
    streams.save(session, saved)
    return raised


def raise_alert(session: Session, new: NewAlert) -> list[Raised]:
    """Write an alert with its audit record; a trigger sends it to endpoints subscribed to ``quality.alert``."""
    made = alerts.insert(session, new)
    if made is None:
        return []
    record(
        session,
        new.organization_id,
        None,
        AuditAction.QUALITY_ALERT,
        subject_id=encode(QUALITY_ALERT, made),
        actor=_ACTOR,
        detail={
            "capability": new.capability,
            "model_version": new.model_version,
            "signal": new.signal.value,
            "direction": new.direction.value,
            "baseline_mean": new.baseline_mean,
            "observed_mean": new.observed_mean,
            "observed_jobs": new.observed_jobs,
        },
    )
    return [Raised(made, new)]


def _key(context: Context, signal: Signal) -> Key:
    return Key(context.organization_id, context.capability, signal, context.model_version)


def _begin(session: Session, key: Key) -> Stream:
    stream = Stream()
    before = streams.predecessor(session, key) if DEFINITIONS[key.signal].is_watched else None
    if before is not None:
        stream.inherit(*before)
    return stream


def _to_alert(session: Session, key: Key, change: Change) -> NewAlert:
    is_lower = change.direction is Worse.LOWER
    return NewAlert(
        organization_id=key.organization_id,
        capability=key.capability,
        model_version=key.model_version,
        signal=key.signal,
        direction=Direction.LOWER if is_lower else Direction.HIGHER,
        is_worse=change.is_worse,
        baseline_version=change.baseline_version,
        baseline_mean=change.baseline_mean,
        baseline_jobs=change.baseline.jobs,
        observed_mean=change.observed_mean,
        observed_jobs=change.observed_jobs,
        evidence=change.evidence,
        threshold=change.threshold,
        began_at=change.began_at,
        job_ids=streams.worst_jobs(session, key, change.began_at, lowest_first=is_lower, limit=CASES),
    )
