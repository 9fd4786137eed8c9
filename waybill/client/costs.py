"""Costs: reports, statements, exports."""

from collections.abc import Iterator, Sequence
from decimal import Decimal

from waybill.client.models import Resource
from waybill.client.transport import Transport

_SILENCE_SECONDS = 60.0


class CostLine(Resource):
    """What a group cost; a group's members are what was grouped by."""

    group: dict[str, str | None]
    amount_usd: Decimal
    calls: int = 0
    jobs: int = 0


class CostTotal(Resource):
    """The sum of all lines."""

    amount_usd: Decimal
    calls: int = 0


class CostReport(Resource):
    """Costs by group."""

    group_by: list[str]
    data: list[CostLine]
    total: CostTotal


class Costs:
    """``/v1/costs``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def report(
        self,
        *,
        group_by: Sequence[str] = (),
        begins: str | None = None,
        ends: str | None = None,
        project: str | None = None,
    ) -> CostReport:
        """Costs by group, of jobs accepted from `begins` on and before `ends` (days or RFC 3339 times)."""
        query = {**_query(begins, ends, project), "group_by": list(group_by)}
        return CostReport.model_validate(self._transport.get("/v1/costs", query).json())

    def report_csv(
        self,
        *,
        group_by: Sequence[str] = (),
        begins: str | None = None,
        ends: str | None = None,
        project: str | None = None,
    ) -> bytes:
        """The same report as CSV."""
        query = {**_query(begins, ends, project), "group_by": list(group_by), "format": "csv"}
        return self._transport.get("/v1/costs", query).content

    def statement(self, month: str, *, project: str | None = None, form: str = "csv") -> bytes:
        """A project's statement of a month (``2026-11``) as ``csv`` or ``html``."""
        query = {**_query(None, None, project), "month": month, "format": form}
        return self._transport.get("/v1/costs/statement", query).content

    def export(
        self, *, begins: str | None = None, ends: str | None = None, project: str | None = None
    ) -> Iterator[bytes]:
        """The charges as FOCUS 1.4 CSV, in pieces as they come."""
        query = _query(begins, ends, project)
        with self._transport.stream("/v1/costs/focus", {}, query, _SILENCE_SECONDS) as response:
            yield from response.iter_bytes()


def _query(begins: str | None, ends: str | None, project: str | None) -> dict[str, str | list[str]]:
    given = {"from": begins, "to": ends, "project": project}
    return {name: value for name, value in given.items() if value is not None}
