"""Renews the leases of all jobs of this process in one statement.

Each renewal also reports which jobs were asked to stop and which were lost. If Postgres cannot be reached for as long
as a lease lasts, every held job counts as lost: another worker may own it by now.
"""

import threading
from time import monotonic
from typing import Protocol
from uuid import UUID

import redis

from core.jobs import leases
from core.jobs.live import control_channel
from core.kit.db import Database, is_unavailable
from core.kit.logging import get_logger
from core.kit.settings import Settings

_log = get_logger(__name__)


class Held(Protocol):
    """An attempt as the heartbeat sees it."""

    job_id: UUID
    attempt: int

    def ask_to_cancel(self) -> None:
        """Cancellation was requested."""

    def mark_caller_gone(self) -> None:
        """The principal behind the job has lost its rights."""

    def mark_lost(self) -> None:
        """The lease is lost."""


class Heartbeat:
    """One thread that renews leases and one that listens for hints to do so now. Start it after a fork."""

    def __init__(self, database: Database, client: "redis.Redis", settings: Settings) -> None:
        self._database = database
        self._redis = client
        self._settings = settings
        self._held: dict[tuple[UUID, int], Held] = {}
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = threading.Event()
        self._last_success = monotonic()
        self._threads = [
            threading.Thread(target=self._renew_forever, name="heartbeat", daemon=True),
            threading.Thread(target=self._listen_forever, name="control", daemon=True),
        ]

    def start(self) -> None:
        """Start renewing."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop renewing; held leases expire by themselves."""
        self._stopped.set()
        self._wake.set()

    def hold(self, attempt: Held) -> None:
        """Renew the lease of a freshly claimed attempt from now on."""
        with self._lock:
            if not self._held:
                self._last_success = monotonic()
            self._held[attempt.job_id, attempt.attempt] = attempt

    def release(self, attempt: Held) -> None:
        """Stop renewing it: the attempt has ended."""
        with self._lock:
            self._held.pop((attempt.job_id, attempt.attempt), None)

    def _snapshot(self) -> dict[tuple[UUID, int], Held]:
        with self._lock:
            return dict(self._held)

    def _renew_forever(self) -> None:
        while not self._stopped.is_set():
            self._wake.wait(self._settings.heartbeat_seconds)
            self._wake.clear()
            held = self._snapshot()
            if not held or self._stopped.is_set():
                continue
            try:
                self._renew(held)
            except Exception as error:  # noqa: BLE001 - a heart that stops would lose every job of the process
                if not is_unavailable(error):
                    _log.exception("heartbeat_failed")
                self._give_up_if_late(held, error)

    def _renew(self, held: dict[tuple[UUID, int], Held]) -> None:
        began = monotonic()
        renewals = leases.renew(self._database.single_system(), list(held), self._settings.lease_seconds)
        self._last_success = began
        renewed = {(renewal.job_id, renewal.attempt): renewal for renewal in renewals}
        for key, attempt in held.items():
            renewal = renewed.get(key)
            if renewal is None:
                # Either its own thread ended it a moment ago, or it was taken over; the fence tells the two apart.
                if key in self._snapshot():
                    attempt.mark_lost()
            elif renewal.cancel_requested:
                attempt.ask_to_cancel()
            elif renewal.is_caller_gone:
                attempt.mark_caller_gone()

    def _give_up_if_late(self, held: dict[tuple[UUID, int], Held], error: Exception) -> None:
        late_seconds = monotonic() - self._last_success
        _log.warning("heartbeat_missed", error=type(error).__name__, late_seconds=round(late_seconds, 1))
        if late_seconds >= self._settings.lease_seconds:
            for attempt in held.values():
                attempt.mark_lost()

    def _listen_forever(self) -> None:
        while not self._stopped.is_set():
            try:
                with self._redis.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
                    pubsub.subscribe(control_channel(self._settings))
                    while not self._stopped.is_set():
                        message = pubsub.get_message(timeout=1.0)
                        if message is not None and self._concerns(message["data"]):
                            self._wake.set()
            except (redis.RedisError, OSError) as error:
                _log.warning("control_channel_lost", error=type(error).__name__)
                self._stopped.wait(2.0)

    def _concerns(self, job_id: bytes) -> bool:
        text = job_id.decode("ascii", "replace")
        return any(str(held_id) == text for held_id, _ in self._snapshot())
