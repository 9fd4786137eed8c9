"""The SQL of effects. The attempt that writes the intent makes the call: of two attempts, one gets the row."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.kit.db import Executor
from core.kit.json_values import dumps

_FIND = text("""
SELECT call, arguments_digest, attempt, tries, extract(epoch FROM now() - tried_at)::float8 AS age_seconds,
  asked_at IS NOT NULL AS is_asked, outcome
FROM job_effects WHERE job_id = :job_id AND organization_id = :organization_id AND call = :call
""")
_INTEND = text("""
INSERT INTO job_effects (job_id, call, organization_id, operation, tool, server, effect, arguments_digest, attempt)
VALUES (:job_id, :call, :organization_id, :operation, :tool, :server, :effect, :arguments_digest, :attempt)
ON CONFLICT (job_id, call) DO NOTHING
""")
_TAKE = text("""
UPDATE job_effects SET attempt = :attempt, tries = tries + 1, tried_at = now()
WHERE job_id = :job_id AND call = :call AND tries = :tries AND outcome IS NULL AND asked_at IS NULL
""")
_WITHDRAW = text("""
DELETE FROM job_effects
WHERE job_id = :job_id AND call = :call AND attempt = :attempt AND tries = 1 AND outcome IS NULL
""")
_ASK = text("UPDATE job_effects SET asked_at = coalesce(asked_at, now()) WHERE job_id = :job_id AND call = :call")
_SETTLE = text("""
UPDATE job_effects SET outcome = CAST(:outcome AS json), settled_at = now()
WHERE job_id = :job_id AND call = :call AND outcome IS NULL
""")


@dataclass(frozen=True, slots=True)
class StoredEffect:
    """An effect. `outcome` is None while it may have happened; the last of its `tries` was `age_seconds` ago."""

    call: str
    arguments_digest: str
    attempt: int
    tries: int
    age_seconds: float
    is_asked: bool
    outcome: Mapping[str, Any] | None


def find(executor: Executor, organization_id: UUID, job_id: UUID, call: str) -> StoredEffect | None:
    """The effect of this call; None when there is no intent yet."""
    values = {"job_id": job_id, "organization_id": organization_id, "call": call}
    row = executor.execute(_FIND, values).one_or_none()
    return None if row is None else StoredEffect(*tuple(row))


def intend(
    executor: Executor,
    organization_id: UUID,
    job_id: UUID,
    call: str,
    attempt: int,
    *,
    operation: str,
    tool: str,
    server: str,
    effect: str,
    arguments_digest: str,
) -> bool:
    """Write the intent; False when another attempt already has."""
    values = {
        "job_id": job_id,
        "call": call,
        "organization_id": organization_id,
        "operation": operation,
        "tool": tool,
        "server": server,
        "effect": effect,
        "arguments_digest": arguments_digest,
        "attempt": attempt,
    }
    return bool(executor.execute(_INTEND, values).rowcount)  # type: ignore[attr-defined]


def take(executor: Executor, job_id: UUID, stored: StoredEffect, attempt: int) -> bool:
    """Claim an open effect to repeat its call; False when another attempt claimed it, or it has an outcome by now."""
    values = {"job_id": job_id, "call": stored.call, "tries": stored.tries, "attempt": attempt}
    return bool(executor.execute(_TAKE, values).rowcount)  # type: ignore[attr-defined]


def withdraw(executor: Executor, job_id: UUID, call: str, attempt: int) -> None:
    """Delete the intent: nothing was ever sent."""
    executor.execute(_WITHDRAW, {"job_id": job_id, "call": call, "attempt": attempt})


def mark_asked(executor: Executor, job_id: UUID, call: str) -> None:
    """Record that a person is asked for the outcome; the call is not made again."""
    executor.execute(_ASK, {"job_id": job_id, "call": call})


def settle(executor: Executor, job_id: UUID, call: str, outcome: Mapping[str, Any]) -> None:
    """Write the receipt; the first one stands."""
    executor.execute(_SETTLE, {"job_id": job_id, "call": call, "outcome": dumps(dict(outcome)).decode()})
