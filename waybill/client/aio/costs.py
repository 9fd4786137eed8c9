"""Costs: reports, statements, exports."""

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

from waybill.client.aio.endpoints import AsyncEndpoints
from waybill.client.bodies import given
from waybill.client.models import CostAnomalies, CostReport, JobCost, UsageReport

_SILENCE_SECONDS = 60.0


class AsyncCosts(AsyncEndpoints):
    """``/v1/costs`` and ``/v1/usage``."""

    async def report(
        self,
        *,
        group_by: Sequence[str] = (),
        begins: str | None = None,
        ends: str | None = None,
        project: str | None = None,
    ) -> CostReport:
        """Costs by group, of jobs accepted from `begins` on and before `ends` (days or RFC 3339 times)."""
        query = {**_query(begins, ends, project), "group_by": list(group_by)}
        return await self._get(CostReport, "/v1/costs", query)

    async def report_csv(
        self,
        *,
        group_by: Sequence[str] = (),
        begins: str | None = None,
        ends: str | None = None,
        project: str | None = None,
    ) -> bytes:
        """The same report as CSV."""
        query = {**_query(begins, ends, project), "group_by": list(group_by), "format": "csv"}
        answer = await self._transport.get("/v1/costs", query)
        return answer.content

    async def usage(
        self,
        *,
        group_by: Sequence[str] = (),
        begins: str | None = None,
        ends: str | None = None,
        project: str | None = None,
    ) -> UsageReport:
        """What the same jobs used, by kind and by group."""
        query = {**_query(begins, ends, project), "group_by": list(group_by)}
        return await self._get(UsageReport, "/v1/usage", query)

    async def anomalies(
        self, *, begins: str | None = None, ends: str | None = None, project: str | None = None
    ) -> CostAnomalies:
        """Hours in which a key spent far more than it does, of the last day by default."""
        return await self._get(CostAnomalies, "/v1/costs/anomalies", _query(begins, ends, project))

    async def correct(self, job_id: str, *, attempt: int, call: int, amount_usd: Decimal | str, reason: str) -> JobCost:
        """Add to what a call of a job cost, or, with a negative amount, take away; returns all lines of the job."""
        body = given(attempt=attempt, call=call, amount_usd=str(amount_usd), reason=reason)
        return await self._post(JobCost, f"/v1/jobs/{job_id}/cost/corrections", body)

    async def statement(self, month: str, *, project: str | None = None, form: str = "csv") -> bytes:
        """A project's statement of a month (``2026-11``) as ``csv`` or ``html``."""
        query = {**_query(None, None, project), "month": month, "format": form}
        answer = await self._transport.get("/v1/costs/statement", query)
        return answer.content

    async def export(
        self, *, begins: str | None = None, ends: str | None = None, project: str | None = None
    ) -> AsyncIterator[bytes]:
        """The charges as FOCUS 1.4 CSV, in pieces as they come."""
        query = _query(begins, ends, project)
        async with await self._transport.stream("/v1/costs/focus", {}, query, _SILENCE_SECONDS) as body:
            while (piece := await body.read()) is not None:
                yield piece


def _query(begins: str | None, ends: str | None, project: str | None) -> dict[str, Any]:
    return given(**{"from": begins, "to": ends, "project": project})
