"""Quality: signals by version and over time, and alerts."""

from collections.abc import Mapping, Sequence
from typing import Any

from waybill.client.aio.endpoints import AsyncEndpoints
from waybill.client.bodies import given
from waybill.client.models import (
    Agreement,
    Annotation,
    AnnotationCase,
    ChosenJobs,
    Label,
    Page,
    QualityAlert,
    QualityGate,
    QualityReport,
    QualityRun,
    QualitySeries,
)

_QUALITY = "/v1/quality"
_ALERTS = f"{_QUALITY}/alerts"
_ANNOTATIONS = f"{_QUALITY}/annotations"


class AsyncQuality(AsyncEndpoints):
    """``/v1/quality``."""

    async def summary(
        self,
        *,
        capability: str | None = None,
        signals: Sequence[str] = (),
        model_version: str | None = None,
        prompt_version: str | None = None,
        group_by: Sequence[str] = (),
        begins: str | None = None,
        ends: str | None = None,
        project: str | None = None,
    ) -> QualityReport:
        """Signals by version, of jobs that ended from `begins` on and before `ends` (days or RFC 3339 times)."""
        query = _query(capability, signals, model_version, prompt_version, group_by, begins, ends, project)
        return await self._get(QualityReport, _QUALITY, query)

    async def series(
        self,
        *,
        step: str = "day",
        capability: str | None = None,
        signals: Sequence[str] = (),
        model_version: str | None = None,
        prompt_version: str | None = None,
        group_by: Sequence[str] = (),
        begins: str | None = None,
        ends: str | None = None,
        project: str | None = None,
    ) -> QualitySeries:
        """The same signals by the `step`, ``hour`` or ``day``."""
        query = _query(capability, signals, model_version, prompt_version, group_by, begins, ends, project)
        return await self._get(QualitySeries, f"{_QUALITY}/series", {**query, "step": step})

    async def alerts(
        self, *, state: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[QualityAlert]:
        """One page of the organization's alerts, newest first."""
        return await self._get(Page[QualityAlert], _ALERTS, given(state=state, limit=limit, cursor=cursor))

    async def alert(self, alert_id: str) -> QualityAlert:
        """The alert with that id. Raises `NotFound`."""
        return await self._get(QualityAlert, f"{_ALERTS}/{alert_id}")

    async def acknowledge(self, alert_id: str) -> QualityAlert:
        """Take an open alert on."""
        return await self._post(QualityAlert, f"{_ALERTS}/{alert_id}/acknowledge")

    async def close_alert(
        self, alert_id: str, *, reason: str | None = None, is_new_normal: bool = False
    ) -> QualityAlert:
        """End an alert; with `is_new_normal`, the signal gets a new baseline from the jobs to come."""
        body = given(reason=reason or None, is_new_normal=is_new_normal)
        return await self._post(QualityAlert, f"{_ALERTS}/{alert_id}/close", body)

    async def choose_jobs(
        self,
        capability: str | None = None,
        *,
        how: str = "random",
        count: int | None = None,
        days: int | None = None,
        model_version: str | None = None,
        job_ids: Sequence[str] = (),
        labels_wanted: int | None = None,
    ) -> list[str]:
        """Put jobs into the annotation queue, ``random``, ``uncertain`` or ``named`` ones; returns those new in it."""
        body = given(
            capability=capability,
            how=how,
            count=count,
            days=days,
            model_version=model_version,
            job_ids=list(job_ids) or None,
            labels_wanted=labels_wanted,
        )
        return (await self._post(ChosenJobs, _ANNOTATIONS, body)).job_ids

    async def annotations(
        self,
        *,
        capability: str | None = None,
        is_open: bool = True,
        is_unlabeled: bool | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> Page[Annotation]:
        """One page of the annotation queue, newest jobs first: what wants labels, and has none of this key.

        Without `is_open`, also what has its labels; `is_unlabeled` decides about those of this key.
        """
        unlabeled = is_open if is_unlabeled is None else is_unlabeled
        flags = {"open": str(is_open).lower(), "unlabeled": str(unlabeled).lower()}
        query = given(capability=capability, limit=limit, cursor=cursor) | flags
        return await self._get(Page[Annotation], _ANNOTATIONS, query)

    async def annotation(self, job_id: str) -> AnnotationCase:
        """A job of the queue with its input and result. Raises `NotFound` for one that was not chosen."""
        return await self._get(AnnotationCase, f"{_ANNOTATIONS}/{job_id}")

    async def label(
        self,
        job_id: str,
        verdict: str,
        *,
        expected: Mapping[str, Any] | None = None,
        note: str | None = None,
        is_judge: bool | None = None,
    ) -> Label:
        """Say what a job's result is like: ``good``, ``bad`` or ``unsure``, and what it should have held.

        `is_judge`: a model says so.
        """
        body = given(
            verdict=verdict,
            expected=dict(expected) if expected is not None else None,
            note=note,
            is_judge=is_judge,
        )
        return await self._post(Label, f"{_ANNOTATIONS}/{job_id}/labels", body)

    async def labels(self, job_id: str) -> list[Label]:
        """What was said of a job, in the order in which it was said."""
        return (await self._get(Page[Label], f"{_ANNOTATIONS}/{job_id}/labels")).data

    async def agreement(self, *, capability: str | None = None, days: int | None = None) -> list[Agreement]:
        """Of each two labelers with jobs in common: how far they agree."""
        query = given(capability=capability, days=days)
        return (await self._get(Page[Agreement], f"{_ANNOTATIONS}/agreement", query)).data

    async def record_run(
        self, batch_id: str, *, dataset: str, dataset_digest: str, checked: int, passed: int
    ) -> QualityRun:
        """Record what came of a batch that ran a data set. Raises `Conflict` when the batch is not of one version."""
        body = given(batch_id=batch_id, dataset=dataset, dataset_digest=dataset_digest, checked=checked, passed=passed)
        return await self._post(QualityRun, f"{_QUALITY}/runs", body)

    async def runs(
        self, *, model_version: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[QualityRun]:
        """One page of the project's recorded runs, newest first."""
        query = given(model_version=model_version, limit=limit, cursor=cursor)
        return await self._get(Page[QualityRun], f"{_QUALITY}/runs", query)

    async def gates(self) -> list[QualityGate]:
        """The gates of the organization's models."""
        return (await self._get(Page[QualityGate], f"{_QUALITY}/gates")).data

    async def set_gate(
        self, model_id: str, *, dataset: str, min_share: float, min_cases: int | None = None
    ) -> QualityGate:
        """Let a model promote only versions whose last run of the data set is that good."""
        body = given(dataset=dataset, min_share=min_share, min_cases=min_cases)
        return await self._put(QualityGate, f"{_QUALITY}/gates/{model_id}", body)

    async def remove_gate(self, model_id: str) -> None:
        """Let a model promote any version again. Raises `NotFound`."""
        await self._transport.delete(f"{_QUALITY}/gates/{model_id}")


def _query(  # noqa: PLR0917 - a request's filters
    capability: str | None,
    signals: Sequence[str],
    model_version: str | None,
    prompt_version: str | None,
    group_by: Sequence[str],
    begins: str | None,
    ends: str | None,
    project: str | None,
) -> dict[str, Any]:
    query = given(
        capability=capability, model_version=model_version, prompt_version=prompt_version, to=ends, project=project
    )
    query |= given(**{"from": begins})
    if signals:
        query["signal"] = list(signals)
    if group_by:
        query["group_by"] = list(group_by)
    return query
