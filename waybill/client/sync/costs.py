"""Costs: reports, statements, exports."""

# Written by `python -m waybill.client.generate` from aio/costs.py: change that, and run it again.

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Any

from waybill.client.bodies import given
from waybill.client.models import CostAnomalies, CostReport, JobCost, UsageReport
from waybill.client.sync.endpoints import Endpoints

_SILENCE_SECONDS = 60.0


class Costs(Endpoints):
    """``/v1/costs`` and ``/v1/usage``."""

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
        return self._get(CostReport, "/v1/costs", query)

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
        answer = self._transport.get("/v1/costs", query)
        return answer.content

    def usage(
        self,
        *,
        group_by: Sequence[str] = (),
        begins: str | None = None,
        ends: str | None = None,
        project: str | None = None,
    ) -> UsageReport:
        """What the same jobs used, by kind and by group."""
        query = {**_query(begins, ends, project), "group_by": list(group_by)}
        return self._get(UsageReport, "/v1/usage", query)

    def anomalies(
        self, *, begins: str | None = None, ends: str | None = None, project: str | None = None
    ) -> CostAnomalies:
        """Hours in which a key spent far more than it does, of the last day by default."""
        return self._get(CostAnomalies, "/v1/costs/anomalies", _query(begins, ends, project))

    def correct(self, job_id: str, *, attempt: int, call: int, amount_usd: Decimal | str, reason: str) -> JobCost:
        """Add to what a call of a job cost, or, with a negative amount, take away; returns all lines of the job."""
        body = given(attempt=attempt, call=call, amount_usd=str(amount_usd), reason=reason)
        return self._post(JobCost, f"/v1/jobs/{job_id}/cost/corrections", body)

    def statement(self, month: str, *, project: str | None = None, form: str = "csv") -> bytes:
        """A project's statement of a month (``2026-11``) as ``csv`` or ``html``."""
        query = {**_query(None, None, project), "month": month, "format": form}
        answer = self._transport.get("/v1/costs/statement", query)
        return answer.content

    def export(
        self, *, begins: str | None = None, ends: str | None = None, project: str | None = None
    ) -> Iterator[bytes]:
        """The charges as FOCUS 1.4 CSV, in pieces as they come."""
        query = _query(begins, ends, project)
        with self._transport.stream("/v1/costs/focus", {}, query, _SILENCE_SECONDS) as body:
            while (piece := body.read()) is not None:
                yield piece


def _query(begins: str | None, ends: str | None, project: str | None) -> dict[str, Any]:
    return given(**{"from": begins, "to": ends, "project": project})
