"""Calls a service over HTTP as a job: with one identity for all tries, bounded, and only on its own host.

``entry`` names of manifests are looked up here by `__getattr__`: ``legacy__translate`` builds the runner of
``legacy.translate``.
"""

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx
from opentelemetry.trace import SpanKind
from pydantic import BaseModel, ConfigDict

from core.capability import JobContext
from core.gateway.interruptible import interruptible, open_client
from core.gateway.resilience.backoff import Backoff, wait
from core.kit import semconv
from core.kit.clock import utc_now
from core.kit.credentials import read_credential
from core.kit.errors import OUTAGE_STATUSES, CapabilityFailure, Outage
from core.kit.ids import JOB, PROJECT, encode
from core.kit.json_values import dumps, loads_foreign
from core.kit.retry_after import retry_after_seconds
from core.kit.settings import get_settings
from core.kit.telemetry import span, trace_headers
from pipelines.remote.manifests import Remote, read_remote

_ANSWER_MAX_BYTES = 16 * 1024 * 1024
_OK, _ACCEPTED, _TOO_MANY, _REFUSED, _BROKEN = 200, 202, 429, 400, 500
_GONE = {404, 410}


class Result(BaseModel):
    """Whatever the service answered; the manifest's schema decides whether it is good."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())


class RemoteRunner:
    """Implements `core.capability.Runner`. Safe in several threads."""

    def __init__(self, remote: Remote, backoff: Backoff | None = None) -> None:
        self._remote = remote
        self._backoff = backoff or Backoff()
        self._client = open_client(remote.timeout_seconds)

    def run(self, ctx: JobContext, payload: BaseModel) -> BaseModel:
        """Call the service, and wait for the work it accepted. Raises `CapabilityFailure`: ``remote_…``."""
        given, restored = ctx.for_tool(payload.model_dump(mode="json"), exempt=self._remote.receives)
        try:
            answer = self._order(ctx, given)
        except _Lost:
            # The service was restarted and lost the work it had accepted. Under the same key, the second request is the
            # same work.
            answer = self._order(ctx, given)
        found = pick(answer, self._remote.result) if self._remote.result else answer
        if not isinstance(found, dict):
            raise CapabilityFailure("the service's answer holds no object as its result", code="remote_bad_answer")
        return Result.model_validate(restored(found))

    def _order(self, ctx: JobContext, given: Mapping[str, Any]) -> Any:
        """The answer, after waiting if it comes later. Raises `_Lost`."""
        with ctx.step("call"):
            status, answer, headers = self._ask(ctx, "POST", self._remote.url, self._body(ctx, given))
        if status != _ACCEPTED:
            return answer
        if self._remote.mode != "poll":
            raise CapabilityFailure(
                "the service accepted the request and will answer later; its entry does not say mode = poll",
                code="remote_not_answered",
            )
        with ctx.step("wait"):
            return self._poll(ctx, answer, headers)

    def _body(self, ctx: JobContext, given: Mapping[str, Any]) -> Any:
        if self._remote.body is None:
            return given
        known = {
            "input": given,
            "job": {
                "id": encode(JOB, ctx.job_id),
                "project_id": encode(PROJECT, ctx.project_id),
                "capability": ctx.capability,
                "attempt": ctx.attempt,
            },
        }
        return {name: pick(known, path) for name, path in self._remote.body.items()}

    def _poll(self, ctx: JobContext, answer: Any, headers: Mapping[str, str]) -> Any:
        status_url = headers.get("location") or (answer.get("status_url") if isinstance(answer, dict) else None)
        if not isinstance(status_url, str):
            raise CapabilityFailure(
                "the service accepted the request without a Location or a status_url", code="remote_bad_answer"
            )
        where = urljoin(self._remote.url, status_url)
        if urlsplit(where)[:2] != urlsplit(self._remote.url)[:2]:
            # The credential would be sent along, and only the operator decides who may see it.
            raise CapabilityFailure("the service points to another host for its answer", code="remote_bad_answer")
        while True:
            wait(_retry_after(headers) or self._remote.poll_seconds, ctx.check)
            status, found, headers = self._ask(ctx, "GET", where, None)
            if status == _OK:
                return found

    def _ask(self, ctx: JobContext, method: str, url: str, body: Any) -> tuple[int, Any, Mapping[str, str]]:
        """Send one request, and retry temporary failures. Every try carries the job's identity, so it acts once."""
        failures = 0
        # Only the host: the path is the operator's.
        seen = {semconv.HTTP_METHOD: method, semconv.SERVER_ADDRESS: urlsplit(url).hostname or ""}
        while True:
            ctx.check()
            try:
                with interruptible(ctx.check), span(f"remote {method}", attributes=seen, kind=SpanKind.CLIENT):
                    return self._send(ctx, method, url, body)
            except _Passing as error:
                failures += 1
                pause = self._backoff.pause(failures, error.seconds)
                # The job's next attempt is later, and has time.
                if failures >= self._remote.max_tries or pause is None:
                    outage = Outage(f"remote service {self._remote.id}", error.seconds) if error.is_outage else None
                    raise CapabilityFailure(
                        str(error), code="remote_unavailable", retryable=True, outage=outage
                    ) from None
            wait(pause, ctx.check)

    def _send(self, ctx: JobContext, method: str, url: str, body: Any) -> tuple[int, Any, Mapping[str, str]]:
        remote = self._remote
        sent = {
            "Accept": "application/json",
            "Idempotency-Key": encode(JOB, ctx.job_id),
            **trace_headers(baggage=remote.baggage),
        }
        if remote.credential is not None:
            secret = read_credential(
                remote.credential.get_secret_value(), remote.secrets_dir, whose=f"the capability {remote.id}"
            )
            sent["Authorization"] = f"Bearer {secret}"
        content = None if body is None else dumps(body)
        if content is not None:
            sent["Content-Type"] = "application/json"
        try:
            with self._client.stream(method, url, headers=sent, content=content) as response:
                raw = _read(response)
        except httpx.TimeoutException:
            raise _Passing(f"the service did not answer within {remote.timeout_seconds:g} seconds") from None
        except httpx.DecodingError:
            raise CapabilityFailure(
                "the service's answer is not compressed as it says", code="remote_bad_answer"
            ) from None
        except httpx.HTTPError:
            raise _Passing("the service cannot be reached") from None
        status = response.status_code
        if status == _TOO_MANY or status >= _BROKEN:
            raise _Passing(
                f"the service answered {status}", _retry_after(response.headers), is_outage=status in OUTAGE_STATUSES
            )
        if method == "GET" and status in _GONE:
            raise _Lost("the service does not know what it accepted", code="remote_unavailable", retryable=True)
        if status >= _REFUSED or status not in {_OK, 201, _ACCEPTED}:
            # A service's error text may quote the input, so only its status is passed on.
            raise CapabilityFailure(f"the service refused the request ({status})", code="remote_refused")
        try:
            answer = loads_foreign(raw) if raw else {}
        except ValueError:
            raise CapabilityFailure(
                "the service's answer is not JSON that can be stored", code="remote_bad_answer"
            ) from None
        return (_OK if status != _ACCEPTED else status), answer, response.headers


class _Lost(CapabilityFailure):
    """The service lost the work it had accepted."""


class _Passing(Exception):
    """A temporary failure; `seconds` is the wait that the service requested.

    `is_outage`: the service is unavailable, whatever the request.
    """

    def __init__(self, message: str, seconds: float | None = None, *, is_outage: bool = True) -> None:
        super().__init__(message)
        self.seconds = seconds
        self.is_outage = is_outage


def pick(value: Any, path: str) -> Any:
    """The value at ``a.b.c`` of nested objects; None where there is none."""
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return None
        value = value[name]
    return value


def _read(response: httpx.Response) -> bytes:
    read = bytearray()
    for chunk in response.iter_bytes():
        read += chunk
        if len(read) > _ANSWER_MAX_BYTES:
            raise CapabilityFailure(
                f"the service's answer is larger than {_ANSWER_MAX_BYTES} bytes", code="remote_bad_answer"
            )
    return bytes(read)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    return retry_after_seconds(headers, utc_now())


def __getattr__(name: str) -> Callable[[], RemoteRunner]:
    for manifest, remote in read_remote(get_settings()):
        if manifest.entry == f"{__name__}:{name}":
            return lambda: RemoteRunner(remote)
    raise AttributeError(f"no remote capability is called {name}")
