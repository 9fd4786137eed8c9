"""Experiments: create, read, list, start, ramp, end, and what they show."""

from collections.abc import Mapping
from typing import Any

from waybill.client.aio.endpoints import AsyncEndpoints
from waybill.client.bodies import given
from waybill.client.models import (
    Experiment,
    Page,
    Results,
)

_EXPERIMENTS = "/v1/experiments"


class AsyncExperiments(AsyncEndpoints):
    """``/v1/experiments``."""

    async def create(self, body: Mapping[str, Any]) -> Experiment:
        """A draft; `body` holds ``name``, ``capability``, ``arms``, ``plan`` and what else the API takes."""
        return await self._post(Experiment, _EXPERIMENTS, body)

    async def get(self, experiment_id: str) -> Experiment:
        """The experiment with that id. Raises `NotFound`."""
        return await self._get(Experiment, f"{_EXPERIMENTS}/{experiment_id}")

    async def list(self, *, state: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Experiment]:
        """One page of the organization's experiments, newest first."""
        params = given(state=state, limit=limit, cursor=cursor)
        return await self._get(Page[Experiment], _EXPERIMENTS, params)

    async def start(self, experiment_id: str) -> Experiment:
        """Start to assign jobs, or resume after a pause."""
        return await self._post(Experiment, f"{_EXPERIMENTS}/{experiment_id}/start")

    async def pause(self, experiment_id: str, reason: str | None = None) -> Experiment:
        """Stop assigning jobs until it is started again."""
        return await self._end(experiment_id, "pause", reason)

    async def stop(self, experiment_id: str, reason: str | None = None) -> Experiment:
        """End it. It cannot be started again."""
        return await self._end(experiment_id, "stop", reason)

    async def rollback(self, experiment_id: str, reason: str | None = None) -> Experiment:
        """End it for the control."""
        return await self._end(experiment_id, "rollback", reason)

    async def promote(self, experiment_id: str, arm: str, reason: str | None = None) -> Experiment:
        """End it with one arm, which all jobs get until the experiment is stopped."""
        return await self._end(experiment_id, "promote", reason, arm=arm)

    async def set_weights(
        self, experiment_id: str, *, share: float | None = None, weights: Mapping[str, float] | None = None
    ) -> Experiment:
        """Change how much of the weights is in force, or the weights by the arms' names."""
        body = given(share=share, weights=dict(weights) if weights is not None else None)
        return await self._put(Experiment, f"{_EXPERIMENTS}/{experiment_id}/weights", body)

    async def results(self, experiment_id: str) -> Results:
        """What it shows now; ask as often as you like."""
        return await self._get(Results, f"{_EXPERIMENTS}/{experiment_id}/results")

    async def _end(self, experiment_id: str, how: str, reason: str | None, arm: str | None = None) -> Experiment:
        body = given(arm=arm, reason=reason or None)
        return await self._post(Experiment, f"{_EXPERIMENTS}/{experiment_id}/{how}", body)
