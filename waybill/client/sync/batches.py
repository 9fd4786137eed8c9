"""Batches: many jobs asked for together."""

# Written by `python -m waybill.client.generate` from aio/batches.py: change that, and run it again.

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from time import monotonic
from typing import Any, BinaryIO

from waybill.client.bodies import given
from waybill.client.errors import WaitTimedOut
from waybill.client.models import Batch, LineResult, Page
from waybill.client.sync.endpoints import Endpoints
from waybill.client.sync.waiting import blocking, sleep

_BATCHES = "/v1/batches"
_POLL_SECONDS = 1.0
_IDLE_SECONDS = 60.0


class Batches(Endpoints):
    """``/v1/batches``."""

    def create(
        self,
        lines: Sequence[Mapping[str, Any]] | None = None,
        *,
        input_file_id: str | None = None,
        capability: str | None = None,
        priority: str | None = None,
        max_cost_usd: Decimal | str | None = None,
        max_line_cost_usd: Decimal | str | None = None,
        deadline_at: datetime | None = None,
        deadline_seconds: int | None = None,
        metadata: Mapping[str, str] | None = None,
        webhook: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> Batch:
        """Ask for `lines`, ``{"custom_id", "input"}`` each, or for those of a file. Raises `InvalidRequest`."""
        body = given(
            lines=None if lines is None else [*lines],
            input_file_id=input_file_id,
            capability=capability,
            priority=priority,
            max_cost_usd=max_cost_usd,
            max_line_cost_usd=max_line_cost_usd,
            deadline_at=deadline_at,
            deadline_seconds=deadline_seconds,
            metadata=None if metadata is None else dict(metadata),
            webhook=None if webhook is None else dict(webhook),
        )
        return self._post(Batch, _BATCHES, body, idempotency_key=idempotency_key)

    def list(self, *, states: Sequence[str] = (), limit: int = 50, cursor: str | None = None) -> Page[Batch]:
        """One page of the project's batches, newest first."""
        params = given(state=list(states) or None, limit=limit, cursor=cursor)
        return self._get(Page[Batch], _BATCHES, params)

    def get(self, batch_id: str) -> Batch:
        """A batch with its counts and cost of this moment. Raises `NotFound`."""
        return self._get(Batch, f"{_BATCHES}/{batch_id}")

    def wait(self, batch_id: str, *, timeout_seconds: float | None = None) -> Batch:
        """The batch once it has ended, however. Raises `WaitTimedOut`, and `NotFound`."""
        until = None if timeout_seconds is None else monotonic() + timeout_seconds
        while not (batch := self.get(batch_id)).has_ended:
            if until is not None and monotonic() >= until:
                raise WaitTimedOut(batch_id, batch.state, timeout_seconds or 0.0)
            sleep(_POLL_SECONDS)
        return batch

    def cancel(self, batch_id: str) -> Batch:
        """Start nothing more of it, and ask what is under way to stop. Raises `NotFound`."""
        return self._post(Batch, f"{_BATCHES}/{batch_id}/cancel")

    def results(self, batch_id: str, *, after: int = 0) -> Iterator[LineResult]:
        """Lines that have ended by now, in order, those above number `after`. Raises `Conflict` and `Gone`."""
        rest = b""
        path = f"{_BATCHES}/{batch_id}/results"
        with self._transport.stream(path, {}, given(after=after or None), _IDLE_SECONDS) as body:
            while (piece := body.read()) is not None:
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    yield LineResult.model_validate_json(line)

    def download(self, batch_id: str, into: BinaryIO, *, after: int = 0) -> int:
        """Write the results as they are, JSON lines; returns how many bytes. Raises `Conflict` and `Gone`."""
        size = 0
        path = f"{_BATCHES}/{batch_id}/results"
        with self._transport.stream(path, {}, given(after=after or None), _IDLE_SECONDS) as body:
            while (piece := body.read()) is not None:
                size += blocking(into.write, piece)
        return size
