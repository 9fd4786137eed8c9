"""Jobs: submit, read, wait, list, cancel, follow."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from waybill.client import events
from waybill.client.models import Event, Feedback, Job, JobTree, Page
from waybill.client.transport import Transport

_POLL_SECONDS = 30


class Jobs:
    """``/v1/jobs``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def submit(
        self,
        capability: str,
        payload: Mapping[str, Any],
        *,
        metadata: Mapping[str, Any] | None = None,
        priority: str | None = None,
        run_at: str | None = None,
        deadline_seconds: int | None = None,
        max_cost_usd: str | None = None,
        webhook: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
        wait_seconds: int = 0,
    ) -> Job:
        """Ask for `capability` with `payload` as its input. With `wait_seconds` the answer may be the finished job.

        `max_cost_usd` is what the job may cost at most, as decimal text; `webhook` is a receiver for
        this job alone: `url`, and perhaps `events` and `include_result`.
        A fresh idempotency key is used unless one is given, so retries inside this call never submit twice.
        """
        optional = {
            "metadata": dict(metadata) if metadata else None,
            "priority": priority,
            "run_at": run_at,
            "deadline_seconds": deadline_seconds,
            "max_cost_usd": max_cost_usd,
            "webhook": dict(webhook) if webhook else None,
        }
        body: dict[str, Any] = {"capability": capability, "input": dict(payload)}
        body |= {name: value for name, value in optional.items() if value is not None}
        answer = self._transport.post(
            "/v1/jobs",
            body,
            headers={"Prefer": f"wait={wait_seconds}"} if wait_seconds else {},
            idempotency_key=idempotency_key,
            wait_seconds=wait_seconds,
        )
        return Job.model_validate(answer.json())

    def get(self, job_id: str, *, wait_seconds: int = 0) -> Job:
        """The job, at once; with `wait_seconds`, when it changes or that long has passed."""
        params = {"wait": wait_seconds} if wait_seconds else None
        answer = self._transport.get(f"/v1/jobs/{job_id}", params, wait_seconds=wait_seconds)
        return Job.model_validate(answer.json())

    def wait(self, job_id: str, *, timeout_seconds: float | None = None) -> Job:
        """The job once it has ended. Raises TimeoutError after `timeout_seconds`."""
        until = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while True:
            left = _POLL_SECONDS if until is None else max(1, min(_POLL_SECONDS, int(until - time.monotonic())))
            job = self.get(job_id, wait_seconds=left)
            if job.is_terminal:
                return job
            if until is not None and time.monotonic() >= until:
                raise TimeoutError(f"{job_id} is still {job.state} after {timeout_seconds:g} s")

    def list(
        self,
        *,
        states: Sequence[str] = (),
        capability: str | None = None,
        metadata: Mapping[str, str] | None = None,
        created_after: str | None = None,
        created_before: str | None = None,
        shadows: bool = False,
        limit: int = 20,
        cursor: str | None = None,
    ) -> Page[Job]:
        """One page of the project's jobs, newest first; with `shadows` those that shadow arms ran, instead."""
        optional: dict[str, Any] = {
            "state": list(states) or None,
            "capability": capability,
            "created_after": created_after,
            "created_before": created_before,
            "shadows": True if shadows else None,
            "cursor": cursor,
            **{f"metadata[{name}]": value for name, value in (metadata or {}).items()},
        }
        params: dict[str, Any] = {"limit": limit}
        params |= {name: value for name, value in optional.items() if value is not None}
        return Page[Job].model_validate(self._transport.get("/v1/jobs", params).json())

    def cancel(self, job_id: str) -> Job:
        """Ask for cancellation. An idle job is cancelled at once; a running one stops at its next step."""
        return Job.model_validate(self._transport.post(f"/v1/jobs/{job_id}/cancel").json())

    def answer(self, job_id: str, value: Any, *, key: str | None = None) -> Job:
        """Answer what a waiting job has asked; `key` names the question when more than one is open.

        The same answer again changes nothing. Raises `ApiProblem` 409 when another one was first or the job does not
        wait, 422 with the path of what does not match the question's schema.
        """
        body = {"value": value, **({"key": key} if key is not None else {})}
        return Job.model_validate(self._transport.post(f"/v1/jobs/{job_id}/input", body).json())

    def tree(self, job_id: str) -> JobTree:
        """The job and all jobs below it, with what each has cost."""
        return JobTree.model_validate(self._transport.get(f"/v1/jobs/{job_id}/tree").json())

    def rate(self, job_id: str, score: float, comment: str | None = None) -> Feedback:
        """Say what its result was worth, from 0 to 1. Raises `ApiProblem` 409 before it has ended."""
        body = {"score": score, **({"comment": comment} if comment else {})}
        return Feedback.model_validate(self._transport.post(f"/v1/jobs/{job_id}/feedback", body).json())

    def events(
        self,
        job_id: str,
        *,
        after: int = 0,
        give_up_seconds: float = 60.0,
        on_reconnect: Callable[[str], None] | None = None,
        on_alive: Callable[[], None] | None = None,
    ) -> Iterator[Event]:
        """Follow the job's events above `after` until it ends, across broken connections; see `events.follow`."""
        return events.follow(
            self._transport,
            job_id,
            after=after,
            give_up_seconds=give_up_seconds,
            on_reconnect=on_reconnect,
            on_alive=on_alive,
        )
