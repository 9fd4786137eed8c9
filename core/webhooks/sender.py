"""One attempt: a POST to an address that was just checked, over HTTP/1.1, within a time limit.

Of the response, only its status and ``Retry-After`` are kept. A success's body is read and discarded,
up to a limit, because a truncated response did not arrive. Environment variables (proxies) are ignored.
"""

import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Any

import httpcore
from httpcore import SOCKET_OPTION, NetworkBackend, NetworkStream, SyncBackend

from core.kit.settings import Settings
from core.webhooks.errors import TargetRefused
from core.webhooks.targets import Target, TargetPolicy

_BODY_READ_BYTES = 64 * 1024
_RETRY_AFTER = b"retry-after"
_REDIRECTS = range(300, 400)
_SUCCESSES = range(200, 300)
_USER_AGENT = "waybill-webhooks/1"


@dataclass(frozen=True, slots=True)
class Outcome:
    """An attempt's outcome: `error` is None for a success, else a stable code. `latency_ms` in whole milliseconds."""

    latency_ms: int
    status: int | None = None
    error: str | None = None
    retry_after: str | None = None


class _Late(httpcore.TimeoutException):
    """The attempt's time is over."""


class _Deadline:
    """A limit on the whole attempt, where the library only limits single reads and writes."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds

    def left(self, timeout: float | None) -> float:
        left = self._end - monotonic()
        if left <= 0:
            raise _Late("the attempt took too long")
        return left if timeout is None else min(left, timeout)


class _Stream(NetworkStream):
    def __init__(self, inner: NetworkStream, deadline: _Deadline) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._deadline.left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._deadline.left(timeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, self._deadline.left(timeout))
        return _Stream(inner, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


class _Pinned(NetworkBackend):
    """Connects to the addresses of a checked target, whatever host is requested."""

    def __init__(self, target: Target, deadline: _Deadline) -> None:
        self._target = target
        self._deadline = deadline
        self._inner = SyncBackend()

    def connect_tcp(
        self,
        host: str,  # noqa: ARG002 - resolved before, and never again
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[SOCKET_OPTION] | None = None,
    ) -> NetworkStream:
        failure: Exception = httpcore.ConnectError("no address")
        for address in self._target.addresses:
            left = self._deadline.left(timeout)
            try:
                stream = self._inner.connect_tcp(address, port, left, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
                continue
            return _Stream(stream, self._deadline)
        raise failure


class Sender:
    """Makes attempts. Safe in threads; one per process, because loading the certificate authorities takes a while."""

    def __init__(self, settings: Settings, policy: TargetPolicy) -> None:
        self._policy = policy
        self._timeout_seconds = settings.webhook_timeout_seconds
        self._tls = httpcore.default_ssl_context()
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        if settings.webhook_ca_file is not None:
            self._tls.load_verify_locations(settings.webhook_ca_file)

    def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Outcome:
        """POST `body` to `url` once. Never raises for errors of the receiver, the network or the policy."""
        began = monotonic()

        def outcome(error: str | None, status: int | None = None, retry_after: str | None = None) -> Outcome:
            return Outcome(int((monotonic() - began) * 1000), status, error, retry_after)

        deadline = _Deadline(self._timeout_seconds)
        try:
            target = self._policy.check(url)
            status, retry_after = self._exchange(target, headers, body, deadline)
        except TargetRefused as refusal:
            return outcome(refusal.reason)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, it is an attempt that failed
            return outcome(_code_of(error))
        if status in _SUCCESSES:
            return outcome(None, status)
        code = "redirect_refused" if status in _REDIRECTS else "status_refused"
        return outcome(code, status, retry_after)

    def _exchange(
        self, target: Target, headers: Mapping[str, str], body: bytes, deadline: _Deadline
    ) -> tuple[int, str | None]:
        sent: dict[bytes | str, bytes | str] = {
            "Host": target.authority,
            "User-Agent": _USER_AGENT,
            "Accept": "*/*",
            "Connection": "close",
        }
        sent.update(headers)
        sent["Content-Length"] = str(len(body))
        with (
            httpcore.ConnectionPool(
                ssl_context=self._tls, max_connections=1, network_backend=_Pinned(target, deadline)
            ) as pool,
            pool.stream(
                "POST",
                httpcore.URL(
                    scheme=target.scheme.encode(),
                    host=target.host.encode(),
                    port=target.port,
                    target=target.path.encode(),
                ),
                headers=sent,
                content=body,
                extensions={"sni_hostname": target.host},
            ) as response,
        ):
            if response.status in _SUCCESSES:
                self._drain(response)
            found = [value for name, value in response.headers if name.lower() == _RETRY_AFTER]
            return response.status, found[0].decode("latin-1") if found else None

    @staticmethod
    def _drain(response: httpcore.Response) -> None:
        read = 0
        for chunk in response.iter_stream():
            read += len(chunk)
            if read > _BODY_READ_BYTES:
                return


_CODES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (httpcore.ConnectTimeout, "connect_timeout"),
    (httpcore.TimeoutException, "timeout"),
    (httpcore.ConnectError, "connect_failed"),
    ((httpcore.RemoteProtocolError, httpcore.LocalProtocolError), "answer_invalid"),
    ((httpcore.NetworkError, OSError), "connection_lost"),
)


def _code_of(error: Exception) -> str:
    """The error's stable code; the exception's own text may reveal what is behind an address."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return "certificate_invalid" if isinstance(cause, ssl.SSLCertVerificationError) else "tls_failed"
        cause = cause.__cause__ or cause.__context__
    return next((code for kind, code in _CODES if isinstance(error, kind)), "attempt_failed")
