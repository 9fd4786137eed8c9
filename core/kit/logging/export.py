"""Exports log records over OTLP, besides standard error: from a bounded queue, on a background thread.

On where OpenTelemetry's own variables name a collector (``OTEL_EXPORTER_OTLP_ENDPOINT`` or
``OTEL_EXPORTER_OTLP_LOGS_ENDPOINT``), unless ``OTEL_LOGS_EXPORTER`` is ``none``. Records equal the written lines:
masked, limited, with the same fields (OpenTelemetry, Logs Data Model).
"""

import atexit
import logging
import os
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from time import monotonic, time_ns
from typing import Any

import structlog

from core.kit.metrics import LOG_EXPORT_DROPPED
from core.kit.otlp import log_record, logs_request

QUEUE_MAX = 4_096
_BATCH_MAX = 512
_EVERY_SECONDS = 1.0
_TIMEOUT_SECONDS = 2.0
_REST_MAX_SECONDS = 60.0
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT")
# The exporter's own log lines must not be exported: that would never end.
_OWN_LOGGERS = ("core.kit.logging", "opentelemetry", "urllib3", "requests")
_EXPORTERS_LOGGER = "opentelemetry.exporter.otlp.proto.http._log_exporter"
_SEVERITIES = {"debug": 5, "info": 9, "warning": 13, "error": 17, "critical": 21}
# Fields of a line that have a dedicated place in a record.
_PLACED = frozenset({"event", "level", "service", "span_id", "timestamp", "trace_id"})
_log = structlog.get_logger(__name__)


def is_wanted() -> bool:
    """Whether the environment enables it."""
    return os.environ.get("OTEL_LOGS_EXPORTER") != "none" and any(os.environ.get(name) for name in _ENDPOINTS)


class _Heard(logging.Filter):
    """Keeps the exporter's message about a failure for one line of ours: a warning, since nothing is lost."""

    reason = ""

    def filter(self, record: logging.LogRecord) -> bool:
        self.reason = record.getMessage()
        return False


_HEARD = _Heard()


class LogExport:
    """Sends the lines of a process as ``waybill-<service>``. Before the first, nothing is loaded and no thread runs."""

    def __init__(self, service: str, environment: str) -> None:
        self.service = service
        self._environment = environment
        self._exporter: Any = None
        self._resource: Mapping[str, Any] = {}
        self._begin()
        os.register_at_fork(after_in_child=self._begin)
        atexit.register(self.close)

    def _begin(self) -> None:
        self._queue: deque[tuple[int, Mapping[str, Any]]] = deque()
        self._lock = threading.Lock()
        self._filled = threading.Event()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def put(self, event: Mapping[str, Any]) -> None:
        """Queue a line for sending, or count it as dropped when the queue is full."""
        if str(event.get("logger", "")).startswith(_OWN_LOGGERS) or self._is_closed:
            return
        if len(self._queue) >= QUEUE_MAX:
            LOG_EXPORT_DROPPED.inc()
            return
        self._queue.append((time_ns(), dict(event)))
        if len(self._queue) >= _BATCH_MAX:
            self._filled.set()
        if self._thread is None:
            self._start()

    def close(self) -> None:
        """Send queued lines, for at most about two seconds, and accept no more."""
        self._is_closed = True
        self._filled.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(2 * _TIMEOUT_SECONDS)

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log-export", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        rest = _EVERY_SECONDS
        while not self._is_closed:
            self._filled.wait(rest)
            self._filled.clear()
            rest = _EVERY_SECONDS if self._send_all() else min(_REST_MAX_SECONDS, 2 * rest)
        until = monotonic() + _TIMEOUT_SECONDS
        while self._queue and monotonic() < until and self._send():
            pass

    def _send_all(self) -> bool:
        while self._queue:
            if not self._send():
                return False
            if len(self._queue) < _BATCH_MAX:
                break
        return True

    def _send(self) -> bool:
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), _BATCH_MAX))]
        _HEARD.reason = ""
        try:
            done = self._export(batch)
        except Exception as error:  # noqa: BLE001 - whatever a collector makes of it, the next lines must be sent
            done, _HEARD.reason = False, type(error).__name__
        if not done:
            LOG_EXPORT_DROPPED.inc(len(batch))
            _log.warning("logs_not_exported", count=len(batch), reason=_HEARD.reason)
        return done

    def _export(self, batch: Sequence[tuple[int, Mapping[str, Any]]]) -> bool:
        if self._exporter is None:
            # Loaded only where lines are exported: the SDK costs a quarter of a second at start.
            from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
            from opentelemetry.sdk.resources import Resource

            self._exporter = OTLPLogExporter(timeout=_TIMEOUT_SECONDS)
            self._resource = Resource.create(
                {"service.name": f"waybill-{self.service}", "deployment.environment.name": self._environment}
            ).attributes
            logging.getLogger(_EXPORTERS_LOGGER).addFilter(_HEARD)
        records = [_record(made, event) for made, event in batch]
        # Its public method encodes, which is the expensive part.
        return bool(self._exporter._client.export(logs_request(self._resource, records)).success)  # noqa: SLF001


def _record(made: int, event: Mapping[str, Any]) -> bytes:
    level = str(event.get("level", "info"))
    trace_id, span_id = event.get("trace_id"), event.get("span_id")
    is_traced = isinstance(trace_id, str) and isinstance(span_id, str)
    return log_record(
        made,
        (_SEVERITIES.get(level, 9), level.upper()),
        str(event.get("event", "")),
        {key: value for key, value in event.items() if key not in _PLACED and value is not None},
        (bytes.fromhex(str(trace_id)), bytes.fromhex(str(span_id))) if is_traced else None,
    )
