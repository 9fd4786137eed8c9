"""Approvals, read again when they are used: a yes counts only while the approver may still give it."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import text

from core.capability import GivenApproval
from core.keys.authority import CALLER_COLUMNS, act_for
from core.keys.repository import is_of_one_hand
from core.keys.roles import Role, scopes_of
from core.keys.scopes import split
from core.kit.data_classes import DataClass
from core.kit.db import Executor
from core.kit.errors import CapabilityFailure, WaybillError
from core.kit.ids import KEY, decode, encode

_SCOPE = "jobs:answer"

# The rights the approver holds now, for a key its clearance too. A deleted approver holds none.
_GIVEN = text(f"""
WITH asked AS (
  SELECT value, answered_by, answered_at, approves FROM job_questions
  WHERE job_id = :job_id AND organization_id = :organization_id AND key = :key AND answered_at IS NOT NULL
), approver AS (
  SELECT id, clearance FROM api_keys, asked
  WHERE organization_id = :organization_id AND typeid('key', api_keys.id) = asked.answered_by
)
SELECT asked.*, now() AS now, (SELECT clearance FROM approver) AS clearance,
  caller_standing(CAST(:organization_id AS uuid), (SELECT id FROM approver), asked.answered_by) AS holds,
  job.data_class, job.project_id, {CALLER_COLUMNS}
FROM asked, jobs AS job WHERE job.id = :job_id
""")


def given(
    executor: Executor, organization_id: UUID, job_id: UUID, key: str, *, four_eyes: Collection[str]
) -> GivenApproval | None:
    """The answer to question `key` with the reason why it has lapsed, if any; None while it is not answered.

    `four_eyes` are the effects that someone other than the job's caller must approve. Raises `CapabilityFailure`
    (``key_revoked``, ``not_a_member``) when the job's caller has lost its rights.
    """
    values = {"job_id": job_id, "organization_id": organization_id, "key": key}
    row = executor.execute(_GIVEN, values).one_or_none()
    if row is None:
        return None
    try:
        act_for(organization_id, row.project_id, row, "worker")
    except WaybillError as refusal:
        raise CapabilityFailure(refusal.detail, code=refusal.code) from None
    lapsed = _lapsed(row.answered_by, row.holds, row.clearance, row.data_class)
    caller = row.submitted_by or (None if row.key_id is None else encode(KEY, row.key_id))
    if lapsed is None and row.approves in four_eyes and caller is not None:
        is_own = row.answered_by == caller or (
            row.answered_by.startswith("key_")
            and is_of_one_hand(executor, organization_id, decode(KEY, row.answered_by), caller)
        )
        lapsed = "self_approval" if is_own else None
    return GivenApproval(row.value, row.answered_by, row.answered_at, row.now, lapsed)


def _lapsed(approver: str, holds: Mapping[str, Any] | None, clearance: str | None, data_class: str) -> str | None:
    if not approver.startswith(("key_", "mem_")):
        # A person whose roles are only in a token, or the installation's own command line.
        return None
    if holds is None or holds.get("ended"):
        return "approver_ended"
    scopes = scopes_of([Role(holds["role"])]) if "role" in holds else split(holds["scopes"])[0]
    if _SCOPE not in scopes:
        return "approver_lacks_scope"
    if clearance is not None and not DataClass(data_class).is_within(DataClass(clearance)):
        return "approver_lacks_clearance"
    return None
