"""The deliverer: sends due webhooks, and announces keys that expire soon. Several may run; all are equal.

It needs only Postgres: when a delivery is due, and how long it is held, are columns of the deliveries.
"""

import threading
from datetime import timedelta
from time import monotonic

from core.kit.db import Database, is_unavailable
from core.kit.logging import configure_logging, get_logger
from core.kit.metrics import serve_metrics
from core.kit.settings import Settings
from core.kit.startup import wait_for_schema
from core.kit.telemetry import configure_tracing
from core.kit.termination import on_termination
from core.webhooks import queue
from core.webhooks.delivery import Deliverer

# Threads record an attempt's result in a fraction of the time that the attempt took.
_CONNECTIONS = 8
_MAINTENANCE_SECONDS = 60.0
_KEYS_AHEAD = timedelta(days=7)
_log = get_logger(__name__)


class DeliveryLoop:
    """The loop of the process."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database = Database(settings, application_name="waybill-deliverer", pool_size=_CONNECTIONS)
        self._deliverer = Deliverer(settings, self._database)
        self._stop = threading.Event()

    def stop(self) -> None:
        """Take nothing new, and return from `run` when the attempts under way have ended."""
        self._stop.set()
        self._deliverer.freed.set()

    def run(self) -> None:
        """Deliver until `stop`. Outages of Postgres are waited out."""
        next_maintenance = 0.0
        while not self._stop.is_set():
            taken = 0
            try:
                taken = self._deliverer.take()
                if monotonic() >= next_maintenance:
                    next_maintenance = monotonic() + _MAINTENANCE_SECONDS
                    with self._database.system() as session:
                        queue.announce_keys(session, _KEYS_AHEAD)
            except Exception as error:  # noqa: BLE001 - whatever a round died of, the next one must come
                if is_unavailable(error):
                    _log.warning("deliverer_waits_for_postgres", error=type(error).__name__)
                else:
                    _log.exception("deliverer_round_failed")
                self._stop.wait(1.0)
            self._rest(taken)
        self._deliverer.close()
        self._database.close()
        _log.info("deliverer_stopped")

    def _rest(self, taken: int) -> None:
        """Wait: until a slot is free after a full round, when more is probably due; otherwise for the interval."""
        if self._deliverer.freed.wait(0.0 if taken else self._settings.webhook_poll_seconds):
            self._deliverer.freed.clear()
            # Slots that come free one by one are filled together: a round costs the same for one and for many.
            self._stop.wait(self._settings.webhook_poll_seconds / 25)


def main(settings: Settings) -> None:
    """Deliver webhooks until SIGTERM or SIGINT; attempts under way are finished first."""
    configure_logging(settings, service="deliverer")
    wait_for_schema(settings)
    configure_tracing(settings, service="deliverer")
    if settings.metrics_port:
        serve_metrics(settings.metrics_port, settings.metrics_host)
    loop = DeliveryLoop(settings)
    on_termination(loop.stop)
    _log.info("deliverer_started", concurrency=settings.webhook_concurrency)
    loop.run()
