"""The SQL of signals and of their hourly sums."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.orm import Session

from core.quality.records import Context
from core.quality.signals import Signal, Value

_TYPES = {
    "job_id": "uuid",
    "signal": "text",
    "organization_id": "uuid",
    "project_id": "uuid",
    "capability": "text",
    "model_version": "text",
    "prompt_version": "text",
    "arm_id": "uuid",
    "is_shadow": "boolean",
    "numerator": "float8",
    "denominator": "float8",
    "ended_at": "timestamptz",
}
# Columns as arrays: one statement for some thousand rows, much faster than as many statements.
_INSERT = text(
    f"INSERT INTO quality_signals ({', '.join(_TYPES)}) SELECT * FROM"
    f" unnest({', '.join(f'CAST(:{name} AS {kind}[])' for name, kind in _TYPES.items())})"
)
_REMOVE = text("""
DELETE FROM quality_signals WHERE job_id = ANY(CAST(:ids AS uuid[])) AND signal = ANY(CAST(:signals AS text[]))
RETURNING job_id, organization_id, project_id, capability, model_version, prompt_version, arm_id, is_shadow, ended_at,
  signal, numerator, denominator
""")
_CONTEXTS = text("""
SELECT DISTINCT ON (job_id) job_id, organization_id, project_id, capability, model_version, prompt_version, arm_id,
  is_shadow, ended_at
FROM quality_signals WHERE job_id = ANY(CAST(:ids AS uuid[])) ORDER BY job_id, signal
""")
_WORDS = text(
    "INSERT INTO quality_inputs (job_id, organization_id, capability, words, ended_at)"
    " SELECT * FROM unnest(CAST(:job_ids AS uuid[]), CAST(:organization_ids AS uuid[]), CAST(:capabilities AS text[]),"
    " CAST(:words AS bytea[]), CAST(:ended_at AS timestamptz[]))"
)
# In the order of the key, so that no two writers wait for each other.
_ADD = text("""
INSERT INTO quality_hours (organization_id, project_id, capability, model_version, prompt_version, signal, hour, jobs,
  denominators, numerators, numerators_squared, products, denominators_squared)
VALUES (:organization_id, :project_id, :capability, :model_version, :prompt_version, :signal, :hour, :jobs,
  :denominators, :numerators, :numerators_squared, :products, :denominators_squared)
ON CONFLICT (organization_id, capability, signal, hour, project_id, model_version, prompt_version) DO UPDATE SET
  jobs = quality_hours.jobs + excluded.jobs, denominators = quality_hours.denominators + excluded.denominators,
  numerators = quality_hours.numerators + excluded.numerators,
  numerators_squared = quality_hours.numerators_squared + excluded.numerators_squared,
  products = quality_hours.products + excluded.products,
  denominators_squared = quality_hours.denominators_squared + excluded.denominators_squared
""")


@dataclass(frozen=True, slots=True)
class Measured:
    """A signal of a job with its context."""

    context: Context
    value: Value


def insert(session: Session, measured: Sequence[Measured]) -> None:
    """Write signals, unless the job already has them, and add them to the sums of their hours."""
    if not measured:
        return
    rows = [_to_row(each) for each in measured]
    session.execute(_INSERT, {name: [row[name] for row in rows] for name in _TYPES})
    add_to_hours(session, ((each, 1) for each in measured))


def remove(session: Session, ids: Sequence[UUID], signals: Sequence[Signal]) -> list[Measured]:
    """Remove these signals of jobs, also from the sums; returns the removed ones."""
    rows = session.execute(_REMOVE, {"ids": list(ids), "signals": [each.value for each in signals]})
    gone = [
        Measured(Context(*tuple(row)[:9]), Value(Signal(row.signal), row.numerator, row.denominator)) for row in rows
    ]
    add_to_hours(session, ((each, -1) for each in gone))
    return gone


def contexts_of(session: Session, ids: Sequence[UUID]) -> dict[UUID, Context]:
    """The contexts of those jobs that have signals."""
    return {row.job_id: Context(*tuple(row)) for row in session.execute(_CONTEXTS, {"ids": list(ids)})}


def insert_words(session: Session, words: Sequence[tuple[Context, bytes]]) -> None:
    """Write the word histograms of inputs."""
    if words:
        session.execute(
            _WORDS,
            {
                "job_ids": [context.job_id for context, _ in words],
                "organization_ids": [context.organization_id for context, _ in words],
                "capabilities": [context.capability for context, _ in words],
                "words": [histogram for _, histogram in words],
                "ended_at": [context.ended_at for context, _ in words],
            },
        )


def add_to_hours(session: Session, measured: Iterable[tuple[Measured, int]]) -> None:
    """Add signals to the sums of their hours; with -1, subtract them."""
    sums: dict[tuple[UUID, str, str, datetime, UUID, str, str], list[float]] = defaultdict(lambda: [0.0] * 6)
    for each, sign in measured:
        context, y, n = each.context, each.value.numerator, each.value.denominator
        if context.is_shadow:
            continue
        hour = context.ended_at.replace(minute=0, second=0, microsecond=0)
        key = (context.organization_id, context.capability, each.value.signal.value, hour, context.project_id)
        of_hour = sums[*key, context.model_version, context.prompt_version]
        for place, term in enumerate((1.0, n, y, y * y, n * y, n * n)):
            of_hour[place] += sign * term
    if sums:
        session.execute(
            _ADD,
            [
                {
                    "organization_id": organization,
                    "capability": capability,
                    "signal": signal,
                    "hour": hour,
                    "project_id": project,
                    "model_version": model,
                    "prompt_version": prompt,
                    "jobs": round(terms[0]),
                    "denominators": terms[1],
                    "numerators": terms[2],
                    "numerators_squared": terms[3],
                    "products": terms[4],
                    "denominators_squared": terms[5],
                }
                for (organization, capability, signal, hour, project, model, prompt), terms in sorted(sums.items())
            ],
        )


def _to_row(each: Measured) -> dict[str, object]:
    context, value = each.context, each.value
    return {
        "job_id": context.job_id,
        "signal": value.signal.value,
        "organization_id": context.organization_id,
        "project_id": context.project_id,
        "capability": context.capability,
        "model_version": context.model_version,
        "prompt_version": context.prompt_version,
        "arm_id": context.arm_id,
        "is_shadow": context.is_shadow,
        "numerator": value.numerator,
        "denominator": value.denominator,
        "ended_at": context.ended_at,
    }
