"""Experiments: create, read, list, start, ramp, end, and what they show."""

# Written by `python -m waybill.client.generate` from aio/experiments.py: change that, and run it again.

from collections.abc import Mapping
from typing import Any

from waybill.client.bodies import given
from waybill.client.models import (
    Experiment,
    Page,
    Results,
)
from waybill.client.sync.endpoints import Endpoints

_EXPERIMENTS = "/v1/experiments"


class Experiments(Endpoints):
    """``/v1/experiments``."""

    def create(self, body: Mapping[str, Any]) -> Experiment:
        """A draft; `body` holds ``name``, ``capability``, ``arms``, ``plan`` and what else the API takes."""
        return self._post(Experiment, _EXPERIMENTS, body)

    def get(self, experiment_id: str) -> Experiment:
        """The experiment with that id. Raises `NotFound`."""
        return self._get(Experiment, f"{_EXPERIMENTS}/{experiment_id}")

    def list(self, *, state: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[Experiment]:
        """One page of the organization's experiments, newest first."""
        params = given(state=state, limit=limit, cursor=cursor)
        return self._get(Page[Experiment], _EXPERIMENTS, params)

    def start(self, experiment_id: str) -> Experiment:
        """Start to assign jobs, or resume after a pause."""
        return self._post(Experiment, f"{_EXPERIMENTS}/{experiment_id}/start")

    def pause(self, experiment_id: str, reason: str | None = None) -> Experiment:
        """Stop assigning jobs until it is started again."""
        return self._end(experiment_id, "pause", reason)

    def stop(self, experiment_id: str, reason: str | None = None) -> Experiment:
        """End it. It cannot be started again."""
        return self._end(experiment_id, "stop", reason)

    def rollback(self, experiment_id: str, reason: str | None = None) -> Experiment:
        """End it for the control."""
        return self._end(experiment_id, "rollback", reason)

    def promote(self, experiment_id: str, arm: str, reason: str | None = None) -> Experiment:
        """End it with one arm, which all jobs get until the experiment is stopped."""
        return self._end(experiment_id, "promote", reason, arm=arm)

    def set_weights(
        self, experiment_id: str, *, share: float | None = None, weights: Mapping[str, float] | None = None
    ) -> Experiment:
        """Change how much of the weights is in force, or the weights by the arms' names."""
        body = given(share=share, weights=dict(weights) if weights is not None else None)
        return self._put(Experiment, f"{_EXPERIMENTS}/{experiment_id}/weights", body)

    def results(self, experiment_id: str) -> Results:
        """What it shows now; ask as often as you like."""
        return self._get(Results, f"{_EXPERIMENTS}/{experiment_id}/results")

    def _end(self, experiment_id: str, how: str, reason: str | None, arm: str | None = None) -> Experiment:
        body = given(arm=arm, reason=reason or None)
        return self._post(Experiment, f"{_EXPERIMENTS}/{experiment_id}/{how}", body)
