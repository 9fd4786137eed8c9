"""Drift of inputs: when to compare them, with which reference, and the resulting alert."""

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from core.quality import streams
from core.quality.alerts.records import Direction, NewAlert
from core.quality.statistics.drift import EVERY_JOBS, REFERENCE_JOBS, WINDOW_JOBS, Drift, compare
from core.quality.streams import Key

# A reference that retention has thinned below this is replaced by the oldest remaining inputs.
_REFERENCE_MIN = 300


def look(
    session: Session, key: Key, state: dict[str, Any] | None, count: int, *, is_watched: bool
) -> tuple[dict[str, Any], NewAlert | None]:
    """Count `count` new inputs; returns the stream's new state, and an alert if the inputs have drifted.

    State: `since` (the start of the reference), `jobs` since then, and `tested`: their number at the last test.
    """
    state = {"since": None, "jobs": 0, "tested": 0} if state is None else dict(state)
    state["jobs"] += count
    due = state["jobs"] >= REFERENCE_JOBS + WINDOW_JOBS and state["jobs"] - state["tested"] >= EVERY_JOBS
    if not is_watched or not due:
        return state, None
    state["tested"] = state["jobs"]
    since = None if state["since"] is None else datetime.fromisoformat(state["since"])
    organization, capability = key.organization_id, key.capability
    reference = streams.inputs(session, organization, capability, since=since, newest=False, limit=REFERENCE_JOBS)
    window = streams.inputs(session, organization, capability, since=since, newest=True, limit=WINDOW_JOBS)
    recent = {job_id for job_id, _, _ in window}
    reference = [each for each in reference if each[0] not in recent]
    if len(reference) < _REFERENCE_MIN or len(window) < WINDOW_JOBS:
        return {"since": None, "jobs": len(reference) + len(window), "tested": state["jobs"]}, None
    found = compare([words for _, words, _ in reference], [words for _, words, _ in window], seed=state["jobs"])
    state["since"] = reference[0][2].isoformat()
    if not found.is_drift:
        return state, None
    job_ids = [window[place][0] for place in found.unlikeliest]
    return state, _to_alert(key, found, len(reference), min(ended for _, _, ended in window), job_ids)


def _to_alert(key: Key, found: Drift, reference: int, began_at: datetime, job_ids: list[Any]) -> NewAlert:
    return NewAlert(
        organization_id=key.organization_id,
        capability=key.capability,
        model_version=key.model_version,
        signal=key.signal,
        direction=Direction.DRIFT,
        is_worse=False,
        baseline_version="",
        baseline_mean=None,
        baseline_jobs=reference,
        observed_mean=None,
        observed_jobs=WINDOW_JOBS,
        evidence=found.distance,
        threshold=found.by_chance,
        began_at=began_at,
        job_ids=job_ids,
    )
