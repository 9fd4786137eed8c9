"""The SQL of reports, over settlements and corrections only: intents carry no money.

A charge belongs to the time its job was accepted, which is the time inside the job's id: budgets count the same way,
and a window is a range of the ledger's partition key.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text

from core.kit.db import Executor
from core.ledger.records import Unit
from core.ledger.reports.records import (
    Charge,
    Dimension,
    EntryKey,
    Grouping,
    ProjectHeader,
    Reach,
    Totals,
    Window,
)

_DAY = "(uuid_extract_timestamp(entry.job_id) AT TIME ZONE 'UTC')::date"
_WHERE = (
    "entry.organization_id = :organization_id AND entry.kind IN ('settlement', 'correction')"
    " AND entry.job_id >= uuid7_floor(CAST(:begins AS timestamptz))"
    " AND entry.job_id < uuid7_floor(CAST(:ends AS timestamptz))"
)
_OF_PROJECT = " AND entry.project_id = :project_id"
_MEASURES = (
    "coalesce(sum(entry.amount_usd), 0) AS amount_usd,"
    " coalesce(sum(entry.amount_usd) FILTER (WHERE entry.estimated), 0) AS estimated_usd,"
    " coalesce(sum(entry.amount_usd) FILTER (WHERE entry.kind = 'correction'), 0) AS corrections_usd,"
    " count(*) FILTER (WHERE entry.kind = 'settlement') AS calls, count(DISTINCT entry.job_id) AS jobs,"
    " count(*) FILTER (WHERE NOT jsonb_exists_all(entry.amounts, ARRAY(SELECT jsonb_object_keys(entry.quantities))))"
    " AS unpriced_calls"
)
_QUANTITIES = ", ".join(f"sum((entry.quantities ->> '{unit}')::numeric) AS {unit}" for unit in Unit)
_NAMED = " LEFT JOIN {table} AS {alias} ON {alias}.id = {id} AND {alias}.organization_id = :organization_id"
_EXPRESSIONS = {
    Dimension.PROJECT: ("entry.project_id",),
    Dimension.CAPABILITY: ("entry.capability",),
    Dimension.MODEL: ("entry.provider", "entry.model"),
    Dimension.MODEL_VERSION: ("entry.model_version",),
    Dimension.DEPLOYMENT: ("deployed.deployment",),
    Dimension.PROVIDER: ("entry.provider",),
    Dimension.KEY: ("entry.key_id",),
    Dimension.DAY: (_DAY,),
}

# A version is immutable and never removed, so a charge always finds the deployment it was made on.
_DEPLOYED = " LEFT JOIN model_versions AS deployed ON deployed.id::text = entry.model_version"
_VERSIONS = (
    " LEFT JOIN model_versions AS version ON version.id::text = g{number}_0"
    " LEFT JOIN models AS model ON model.id = version.model_id"
)

_PROJECT = text("""
SELECT project.id, project.name, organization.id AS organization_id, organization.name AS organization,
  project.cost_centre, now() AS now
FROM projects AS project JOIN organizations AS organization ON organization.id = project.organization_id
WHERE project.id = :project_id AND project.organization_id = :organization_id
""")

_CHARGES = f"""
SELECT entry.job_id, entry.attempt, entry.call, entry.entry, {_DAY} AS accepted_on, entry.recorded_at,
  entry.kind = 'correction' AS is_correction, entry.organization_id, organization.name AS organization,
  entry.project_id, project.name AS project, entry.key_id, entry.capability, entry.provider, entry.model,
  entry.model_version, entry.quantities, entry.amounts, entry.amount_usd, entry.estimated, entry.reason, entry.step,
  entry.labels
FROM ledger_entries AS entry
JOIN organizations AS organization ON organization.id = entry.organization_id
LEFT JOIN projects AS project ON project.id = entry.project_id AND project.organization_id = entry.organization_id
WHERE {_WHERE}"""
_AFTER = (
    " AND entry.job_id >= :job_id"
    " AND (entry.job_id, entry.attempt, entry.call, entry.entry) > (:job_id, :attempt, :call, :entry)"
)
_IN_ORDER = " ORDER BY entry.job_id, entry.attempt, entry.call, entry.entry LIMIT :limit"


def _parameters(reach: Reach, window: Window) -> dict[str, Any]:
    return {
        "organization_id": reach.organization_id,
        "project_id": reach.project_id,
        "begins": window.begins,
        "ends": window.ends,
    }


def _where(reach: Reach) -> str:
    return _WHERE if reach.project_id is None else _WHERE + _OF_PROJECT


def totals_statement(reach: Reach, groupings: Sequence[Grouping], *, with_quantities: bool) -> str:
    """The statement of `totals`: group in the ledger first, look up names afterwards."""
    inner: list[str] = []
    outer: list[str] = []
    joins = ""
    for number, grouping in enumerate(groupings):
        if grouping.dimension is Dimension.LABEL:
            expressions: tuple[str, ...] = (f"entry.labels ->> CAST(:label_{number} AS text)",)
        else:
            expressions = _EXPRESSIONS[grouping.dimension]
        inner.extend(f"{expression} AS g{number}_{part}" for part, expression in enumerate(expressions))
        if grouping.dimension is Dimension.MODEL_VERSION:
            outer += ["version.id AS model_version_id", "model.name || ' v' || version.number AS model_version"]
            joins += _VERSIONS.format(number=number)
        else:
            outer.extend(f"grouped.g{number}_{part}" for part in range(len(expressions)))
        if grouping.dimension is Dimension.PROJECT:
            outer.append("project.name AS project")
            joins += _NAMED.format(table="projects", alias="project", id=f"g{number}_0")
        if grouping.dimension is Dimension.KEY:
            outer.append("api_key.name AS key")
            joins += _NAMED.format(table="api_keys", alias="api_key", id=f"g{number}_0")
    deployed = _DEPLOYED if any(grouping.dimension is Dimension.DEPLOYMENT for grouping in groupings) else ""
    measures = f"{_MEASURES}, {_QUANTITIES}" if with_quantities else _MEASURES
    by = f" GROUP BY {', '.join(str(position + 1) for position in range(len(inner)))}" if inner else ""
    order = f" ORDER BY {', '.join(str(position + 1) for position in range(len(outer)))}" if outer else ""
    names = "amount_usd, estimated_usd, corrections_usd, calls, jobs, unpriced_calls"
    if with_quantities:
        names += ", " + ", ".join(Unit)
    return (
        f"SELECT {', '.join([*outer, names])} FROM ("
        f"SELECT {', '.join([*inner, measures])} FROM ledger_entries AS entry{deployed} WHERE {_where(reach)}{by}"
        f") AS grouped{joins}{order} LIMIT :limit"
    )


def totals(
    session: Executor,
    reach: Reach,
    window: Window,
    groupings: Sequence[Grouping],
    *,
    with_quantities: bool,
    limit: int,
) -> list[Totals]:
    """The totals of the window's charges in each group, in the order of the groups; at most `limit` groups."""
    statement = totals_statement(reach, groupings, with_quantities=with_quantities)
    labels = {f"label_{number}": grouping.label for number, grouping in enumerate(groupings) if grouping.label}
    rows = session.execute(text(statement), {**_parameters(reach, window), **labels, "limit": limit})
    columns = [column for grouping in groupings for column in grouping.columns]
    return [_to_totals(row, columns, with_quantities=with_quantities) for row in rows]


def _to_totals(row: Row[Any], columns: Sequence[str], *, with_quantities: bool) -> Totals:
    values = tuple(row)
    width = len(columns)
    quantities = zip(Unit, values[width + 6 :], strict=True) if with_quantities else ()
    return Totals(
        dict(zip(columns, values[:width], strict=True)),
        values[width],
        values[width + 1],
        values[width + 2],
        values[width + 3],
        values[width + 4],
        {unit: quantity for unit, quantity in quantities if quantity},
        values[width + 5],
    )


def project_header(session: Executor, organization_id: UUID, project_id: UUID) -> tuple[ProjectHeader, Any] | None:
    """A project of the organization and the database's time, or None when it has no such project."""
    row = session.execute(_PROJECT, {"organization_id": organization_id, "project_id": project_id}).one_or_none()
    if row is None:
        return None
    return ProjectHeader(row.id, row.name, row.organization_id, row.organization, row.cost_centre), row.now


def charges(session: Executor, reach: Reach, window: Window, *, after: EntryKey | None, limit: int) -> list[Charge]:
    """The window's settlements and corrections in the order of the ledger's key, starting after `after`."""
    statement = _CHARGES + (_OF_PROJECT if reach.project_id else "") + (_AFTER if after else "") + _IN_ORDER
    parameters = {**_parameters(reach, window), "limit": limit}
    if after is not None:
        parameters.update(job_id=after.job_id, attempt=after.attempt, call=after.call, entry=after.entry)
    rows = session.execute(text(statement), parameters)
    return [Charge(EntryKey(*tuple(row[:4])), *tuple(row[4:])) for row in rows]
