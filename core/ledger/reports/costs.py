"""Costs and usage by any grouping; both match the ledger to the last digit."""

from collections.abc import Sequence
from uuid import UUID

from core.keys.errors import ScopeMissing
from core.keys.principal import Principal
from core.keys.scopes import WHOLE_ORGANIZATION
from core.kit.db import Executor
from core.kit.errors import Unprocessable
from core.ledger.reports import repository
from core.ledger.reports.records import GROUPS_MAX, Grouping, Reach, Totals, Window


def reach_of(principal: Principal, project_id: UUID | None) -> Reach:
    """The charges `principal` may see when it requests `project_id`'s, or for all it may see (None).

    Raises `ScopeMissing` when it requests another project's without the scope ``organization:read``: whether or not
    that project exists.
    """
    if WHOLE_ORGANIZATION in principal.scopes:
        return Reach(principal.organization_id, project_id)
    if project_id not in {None, principal.project_id}:
        raise ScopeMissing(f"this key lacks the scope {WHOLE_ORGANIZATION}", scope=WHOLE_ORGANIZATION)
    return Reach(principal.organization_id, principal.project_id)


def report(
    session: Executor, reach: Reach, window: Window, groupings: Sequence[Grouping], *, with_quantities: bool = False
) -> list[Totals]:
    """The window's charges by `groupings`; without any, one line for all of them.

    Raises `Unprocessable` (``report_too_large``) when there are more than 10,000 groups.
    """
    found = repository.totals(session, reach, window, groupings, with_quantities=with_quantities, limit=GROUPS_MAX + 1)
    if len(found) > GROUPS_MAX:
        message = f"that makes more than {GROUPS_MAX:,} lines; group by less, or ask for a shorter time"
        problem = {"path": "query.group_by", "code": "report_too_large", "message": message}
        raise Unprocessable(f"query.group_by: {message}", code="report_too_large", errors=[problem])
    return found
