"""The chargeback statement: what a project owes for a month."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from decimal import Decimal
from uuid import UUID

from core.kit.db import Executor
from core.kit.errors import NotFound
from core.kit.ids import PROJECT, encode
from core.kit.money import ZERO
from core.ledger.reports import costs, repository
from core.ledger.reports.records import Dimension, Grouping, Reach, Statement, Totals, Window

_LINES = tuple(map(Grouping, (Dimension.DAY, Dimension.CAPABILITY, Dimension.MODEL, Dimension.KEY)))


def make_statement(session: Executor, organization_id: UUID, project_id: UUID, window: Window) -> Statement:
    """A project's statement. Raises `NotFound` when the organization has no such project."""
    found = repository.project_header(session, organization_id, project_id)
    if found is None:
        raise NotFound(f"there is no project {encode(PROJECT, project_id)}", code="project_not_found")
    header, made_at = found
    reach = Reach(organization_id, project_id)
    lines = costs.report(session, reach, window, _LINES)
    (whole,) = costs.report(session, reach, window, ())
    return Statement(header, window, made_at, lines, sum((line.amount_usd for line in lines), start=ZERO), whole.jobs)


def sum_by(lines: Sequence[Totals], *columns: str) -> Mapping[tuple[object, ...], tuple[Decimal, bool]]:
    """The lines' amounts, and whether all of them are priced, by the values of `columns` as they first appear."""
    sums: dict[tuple[object, ...], tuple[Decimal, bool]] = defaultdict(lambda: (ZERO, True))
    for line in lines:
        group = tuple(line.group[column] for column in columns)
        amount, priced = sums[group]
        sums[group] = amount + line.amount_usd, priced and not line.unpriced_calls
    return sums
