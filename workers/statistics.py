"""Metrics about the contents of Postgres, read by one dispatcher: the owner of the first pool."""

import threading
from collections.abc import Callable
from time import monotonic, time

from core.audit import repository as audit
from core.forecasts.soon import exhausting_soon
from core.jobs import queue
from core.kit.db import Database, is_unavailable
from core.kit.logging import get_logger
from core.kit.metrics import (
    AUDIT_INBOX,
    AUDIT_OLDEST_UNSEALED,
    BUDGETS,
    BUDGETS_EXHAUSTING_SOON,
    ORGANIZATION_HEADROOM,
    RESERVATIONS_OPEN,
    RESERVED,
    STATISTICS_READ,
    TABLE_BYTES,
    TABLE_PARTITIONS,
    TABLE_ROWS,
    WEBHOOK_BACKLOG,
    WEBHOOK_OLDEST_DUE,
    observe_depths,
)
from core.kit.metrics.families import Snapshot
from core.kit.metrics.money import name_of
from core.kit.settings import Settings
from core.kit.table_sizes import read_table_sizes
from core.ledger.headroom import read_headroom, read_reserved
from core.webhooks.queue import backlog

_EVERY_SECONDS = 15.0
_SLOW_EVERY_SECONDS = 60.0
# On a database where reading takes long, it is read less often.
_SHARE_OF_TIME = 0.05
_log = get_logger(__name__)


class Statistics:
    """Reads queues, audit inbox and webhooks every 15 seconds, and tables and budgets every minute."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._budgets = Snapshot(BUDGETS)
        self._headroom = Snapshot(ORGANIZATION_HEADROOM)
        self._table_bytes = Snapshot(TABLE_BYTES)
        self._table_rows = Snapshot(TABLE_ROWS)
        self._table_partitions = Snapshot(TABLE_PARTITIONS)
        self._lock = threading.Lock()

    def read_forever(self, stop: threading.Event, is_ours: Callable[[], bool]) -> None:
        """Read while `is_ours`, until `stop`."""
        slow_at = 0.0
        pause = 1.0
        while not stop.wait(pause):
            if not is_ours():
                pause = 1.0
                continue
            began = monotonic()
            try:
                self.read()
                if began >= slow_at:
                    slow_at = began + _SLOW_EVERY_SECONDS
                    self.read_slowly()
            except Exception as error:  # noqa: BLE001 - the next reading must come
                if is_unavailable(error):
                    _log.warning("statistics_wait_for_postgres", error=type(error).__name__)
                else:
                    _log.exception("statistics_not_read")
            if not is_ours():
                self.clear()
            pause = max(_EVERY_SECONDS, (monotonic() - began) / _SHARE_OF_TIME)

    def read(self) -> None:
        """Report the current queues, audit inbox, webhooks and reservations."""
        with self._database.system() as session:
            depths = queue.depths(session)
            records, age_seconds = audit.backlog(session)
            webhooks = backlog(session)
            reserved = read_reserved(session)
        with self._lock:
            observe_depths(depths)
            AUDIT_INBOX.set(records)
            AUDIT_OLDEST_UNSEALED.set(age_seconds)
            for state in ("due", "later", "paused"):
                WEBHOOK_BACKLOG.labels(state).set(getattr(webhooks, state))
            WEBHOOK_OLDEST_DUE.set(webhooks.oldest_due_seconds)
            RESERVATIONS_OPEN.set(reserved.trees)
            RESERVED.set(reserved.held_usd)
            STATISTICS_READ.set(time())

    def read_slowly(self) -> None:
        """Report the current tables and budgets."""
        with self._database.system() as session:
            tables = read_table_sizes(session)
            headroom = read_headroom(session, self._settings.metrics_organizations)
            soon = exhausting_soon(session)
        rows = (((each.name, state), getattr(each, f"{state}_rows")) for each in tables for state in ("live", "dead"))
        with self._lock:
            self._table_bytes.set(((each.name,), each.size_bytes) for each in tables)
            self._table_partitions.set(((each.name,), each.partitions) for each in tables if each.partitions)
            self._table_rows.set(rows)
            self._budgets.set(((band, str(hard).lower()), count) for (band, hard), count in headroom.bands.items())
            BUDGETS_EXHAUSTING_SOON.set(soon)
            self._headroom.set(((name_of(each) or "",), ratio) for each, ratio in headroom.least.items())

    def clear(self) -> None:
        """Report nothing: another dispatcher does, and our values would go stale."""
        with self._lock:
            observe_depths(())
            for state in ("due", "later", "paused"):
                WEBHOOK_BACKLOG.labels(state).set(0)
            for gauge in (
                AUDIT_INBOX,
                AUDIT_OLDEST_UNSEALED,
                BUDGETS_EXHAUSTING_SOON,
                RESERVATIONS_OPEN,
                RESERVED,
                WEBHOOK_OLDEST_DUE,
            ):
                gauge.set(0)
            STATISTICS_READ.set(0)
            for each in (
                self._budgets,
                self._headroom,
                self._table_bytes,
                self._table_rows,
                self._table_partitions,
            ):
                each.set(())
