"""Carries out deliveries: takes them in rounds, sends them on threads, and records each result at once."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from threading import Event, Lock
from urllib.parse import urlsplit

from opentelemetry.trace import Span, SpanKind, format_trace_id

from core.audit.actions import AuditAction
from core.audit.record import Actor, record
from core.kit import semconv
from core.kit.db import Database
from core.kit.ids import MESSAGE, WEBHOOK_ENDPOINT, encode, made_at
from core.kit.job_traces import JobTrace, TraceScope, traced_for
from core.kit.logging import get_logger
from core.kit.metrics import WEBHOOK_ENDPOINTS_DISABLED, WEBHOOKS_UNDER_WAY
from core.kit.metrics.effects import observe_webhook
from core.kit.metrics.families import exemplar_of
from core.kit.sealing import CannotOpen, Sealer, secret_keys
from core.kit.settings import Settings
from core.kit.telemetry import mark_failed, start_span
from core.kit.trace_context import format_traceparent, parse_traceparent
from core.webhooks import queue
from core.webhooks.records import DisabledReason, Held
from core.webhooks.schedule import Jitter, jitter, next_delay, parse_retry_after
from core.webhooks.sender import Outcome, Sender
from core.webhooks.signing import SEALED_FOR, headers
from core.webhooks.targets import Resolver, TargetPolicy, resolve

DISABLED_AFTER = timedelta(days=5)
_GONE = 410
# A receiver that answers later than this gets a separate share of the slots, as a failing one does.
_SLOW_MS = 2_000
_log = get_logger(__name__)


class Deliverer:
    """Takes due deliveries and sends them, at most `webhook_concurrency` at once, half of them to weak receivers.

    Several may work side by side, in separate processes. `offset_seconds` moves its clock; `spread` and
    `resolver` replace randomness and name resolution. Only tests set these.
    """

    def __init__(
        self, settings: Settings, database: Database, *, spread: Jitter = jitter, resolver: Resolver = resolve
    ) -> None:
        self._settings = settings
        self._database = database
        self._spread = spread
        self._sealer = Sealer(secret_keys(settings), SEALED_FOR)
        self._sender = Sender(settings, TargetPolicy(settings, resolver))
        self._threads = ThreadPoolExecutor(settings.webhook_concurrency, thread_name_prefix="webhook")
        self._counting = Lock()
        self._under_way = 0
        self._weak_under_way = 0
        self.freed = Event()
        self.offset_seconds = 0.0

    def take(self) -> int:
        """Take due deliveries and start sending them; returns how many. Raises database errors."""
        with self._counting:
            room = self._settings.webhook_concurrency - self._under_way
            weak_room = self._settings.webhook_concurrency // 2 - self._weak_under_way
        if room <= 0:
            return 0
        with self._database.system() as session:
            taken = queue.claim(
                session,
                room=room,
                weak_room=max(weak_room, 0),
                per_lane=self._settings.webhook_lane_concurrency,
                lease_seconds=self._settings.webhook_lease_seconds,
                offset_seconds=self.offset_seconds,
            )
        with self._counting:
            self._under_way += len(taken)
            WEBHOOKS_UNDER_WAY.inc(len(taken))
            self._weak_under_way += sum(is_weak for _, is_weak in taken)
        for held, is_weak in taken:
            self._threads.submit(self._carry_out, held, is_weak)
        return len(taken)

    @property
    def under_way(self) -> int:
        """The number of deliveries being sent."""
        return self._under_way

    def close(self) -> None:
        """Wait for the deliveries being sent."""
        self._threads.shutdown(wait=True)

    def _carry_out(self, held: Held, is_weak: bool) -> None:
        try:
            self._settle(held, self._attempt(held))
        except Exception as error:  # noqa: BLE001 - its lease runs out, and it is tried again
            _log.warning("webhook_not_settled", message_id=encode(MESSAGE, held.id), error=type(error).__name__)
        finally:
            with self._counting:
                self._under_way -= 1
                WEBHOOKS_UNDER_WAY.dec()
                self._weak_under_way -= is_weak
            self.freed.set()

    def _attempt(self, held: Held) -> Outcome:
        boxes = [box for box in (held.sealed, held.previous) if box is not None]
        try:
            secrets = [self._sealer.open(held.owner_id, box) for box in boxes]
        except CannotOpen:
            return Outcome(0, error="secret_unreadable")
        if not secrets:
            return Outcome(0, error="secret_missing")
        message_id = encode(MESSAGE, held.id)
        sent = {**headers(secrets, message_id, held.began_at, held.body), "content-type": "application/json"}
        with self._spanned(held, message_id) as span:
            if held.traceparent is not None:
                sent["traceparent"] = format_traceparent(span.get_span_context())
            outcome = self._sender.send(held.url, sent, held.body)
            if outcome.status is not None:
                span.set_attribute(semconv.HTTP_STATUS, outcome.status)
            if outcome.error is not None:
                mark_failed(span, outcome.error)
        return outcome

    @staticmethod
    @contextmanager
    def _spanned(held: Held, message_id: str) -> Iterator[Span]:
        """A span of the attempt, below the job's. Shows the receiver's host, never the rest of its URL."""
        job = None if held.job_id is None else JobTrace(held.job_id, held.traceparent)
        with traced_for(TraceScope(held.organization_id, held.project_id, job_id=held.job_id)):
            span = start_span(
                "webhook POST",
                parent=None if job is None else job.context,
                traceparent=held.traceparent,
                kind=SpanKind.CLIENT,
                attributes={
                    semconv.HTTP_METHOD: "POST",
                    semconv.SERVER_ADDRESS: urlsplit(held.url).hostname or "",
                    semconv.HTTP_RESENDS: held.attempt - 1,
                    semconv.MESSAGE_ID: message_id,
                },
            )
        try:
            yield span
        finally:
            span.end()

    def _settle(self, held: Held, outcome: Outcome) -> None:
        self._count(held, outcome)
        offset = self.offset_seconds
        single = self._database.single_system()
        remote = parse_traceparent(held.traceparent)
        traced = {} if remote is None else {"trace_id": format_trace_id(remote.trace_id)}
        message_id = encode(MESSAGE, held.id)
        if outcome.error is None:
            _log.info(
                "webhook_delivered",
                message_id=message_id,
                attempt=held.attempt,
                status=outcome.status,
                latency_ms=outcome.latency_ms,
                **traced,
            )
            queue.delivered(single, held, outcome, is_slow=outcome.latency_ms > _SLOW_MS, offset_seconds=offset)
            return
        asked = parse_retry_after(outcome.retry_after, held.began_at)
        is_gone = outcome.status == _GONE
        delay = None if is_gone else next_delay(held.failures + 1, asked, self._spread)
        queue.failed(single, held, outcome, delay, offset_seconds=offset)
        _log.info(
            "webhook_attempt_failed",
            message_id=message_id,
            attempt=held.attempt,
            error=outcome.error,
            status=outcome.status,
            next_in_seconds=None if delay is None else round(delay.total_seconds(), 1),
            **traced,
        )
        if held.endpoint_id is not None:
            self._disable(held, DisabledReason.GONE if is_gone else DisabledReason.FAILING)

    @staticmethod
    def _count(held: Held, outcome: Outcome) -> None:
        remote = parse_traceparent(held.traceparent)
        seconds = outcome.latency_ms / 1000
        observe_webhook(
            outcome.error,
            seconds,
            (held.began_at - made_at(held.id)).total_seconds() + seconds,
            None if remote is None else exemplar_of(remote),
        )

    def _disable(self, held: Held, reason: DisabledReason) -> None:
        if held.endpoint_id is None:
            return
        if reason is DisabledReason.FAILING and (
            held.failing_since is None or held.began_at - held.failing_since < DISABLED_AFTER
        ):
            return
        with self._database.system() as session:
            found = queue.disable(
                session,
                held.endpoint_id,
                reason,
                failing_seconds=None if reason is DisabledReason.GONE else DISABLED_AFTER.total_seconds(),
                offset_seconds=self.offset_seconds,
            )
            if found is None:
                return
            organization_id, project_id = found
            subject = encode(WEBHOOK_ENDPOINT, held.endpoint_id)
            record(
                session,
                organization_id,
                project_id,
                AuditAction.WEBHOOK_DISABLE,
                subject_id=subject,
                actor=Actor("system"),
                detail={"reason": reason.value},
            )
        WEBHOOK_ENDPOINTS_DISABLED.labels(reason.value).inc()
        _log.warning("webhook_endpoint_disabled", endpoint_id=subject, reason=reason.value)
