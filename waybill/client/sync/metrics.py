"""Metrics: jobs, error rates, latencies, tokens and costs, from roll-ups."""

# Written by `python -m waybill.client.generate` from aio/metrics.py: change that, and run it again.

from waybill.client.bodies import given
from waybill.client.models import MetricsReport
from waybill.client.sync.endpoints import Endpoints


class Metrics(Endpoints):
    """``/v1/metrics``."""

    def read(
        self,
        *,
        begins: str | None = None,
        ends: str | None = None,
        interval: str | None = None,
        group_by: str | None = None,
        project: str | None = None,
    ) -> MetricsReport:
        """What ended from `begins` on and before `ends` (days or RFC 3339 times), the last 24 hours by default.

        `interval` is ``minute``, ``hour`` or ``day``; `group_by` ``capability``, ``project``, ``model`` or ``key``.
        """
        query = given(**{"from": begins, "to": ends, "interval": interval, "group_by": group_by, "project": project})
        return self._get(MetricsReport, "/v1/metrics", query)
