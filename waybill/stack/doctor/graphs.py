"""Checks that this release can resume the jobs in progress. Run it with a new release before installing it."""

from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import sql

from core.capability import Manifest
from core.jobs.checkpoints import VERSION
from core.jobs.conditions import ACTIVE
from core.kit.db import SYSTEM_ROLE
from waybill.stack.doctor.check import Check, ok, warn

_NAME = "graph versions"
_IN_FLIGHT = f"""
SELECT jobs.capability, begun.version, count(*) FROM jobs
CROSS JOIN LATERAL (SELECT max({VERSION}) AS version FROM job_checkpoints WHERE job_id = jobs.id) AS begun
WHERE {ACTIVE} AND attempt > 0 AND begun.version IS NOT NULL
GROUP BY jobs.capability, begun.version ORDER BY jobs.capability, begun.version
"""


def check_graphs(connection: psycopg.Connection[Any], known: Mapping[str, Manifest]) -> Check:
    """The jobs that workers of this release could not resume; `known` is what this release offers."""
    row = connection.execute(
        "SELECT to_regclass('job_checkpoints') IS NOT NULL AND pg_has_role(current_user, %s, 'SET')", [SYSTEM_ROLE]
    ).fetchone()
    if row is None or not row[0]:
        return ok(_NAME, "not checked: this login may not read jobs, or there are none yet")
    with connection.transaction():
        # A process's login can read nothing before it assumes a role.
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(SYSTEM_ROLE)))
        found = connection.execute(_IN_FLIGHT).fetchall()
    waiting = [
        f"{jobs} of {capability} with {version}"
        for capability, version, jobs in found
        if capability not in known or not known[capability].resumes(version)
    ]
    if not waiting:
        return ok(_NAME, f"this release resumes all {sum(jobs for _, _, jobs in found)} jobs that have begun")
    return warn(
        _NAME,
        f"this release cannot resume jobs that have begun: {', '.join(waiting)}",
        "they wait for a worker that can; see docs/runbooks/bad-release.md",
    )
