"""Detects by its behavior whether a transaction pooler, such as PgBouncer, is between us and Postgres."""

from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg

_BACKEND: LiteralString = "SELECT pg_backend_pid() AS waybill_pooler_probe"
# Another client may take the connection that was just returned; the next try finds another.
_TRIES = 5
_NOT_KEPT = (psycopg.errors.InvalidSqlStatementName, psycopg.errors.DuplicatePreparedStatement)


@dataclass(frozen=True, slots=True)
class TransactionPooler:
    """A pooler that gives a server connection to another client after each transaction."""

    keeps_prepared: bool
    """Whether a client can execute what it prepared on a connection that has gone to another since."""


def find_transaction_pooler(url: str, **options: Any) -> TransactionPooler | None:
    """The transaction pooler that answers at `url`, or None. `options` are psycopg's, for its two connections.

    Raises psycopg's exceptions. A pooler whose connections are all busy may be missed; a positive result is certain.
    """
    is_found = False
    with psycopg.connect(url, autocommit=True, **options) as first:
        for _ in range(_TRIES):
            try:
                backend = _backend(first, prepare=True)
            except _NOT_KEPT:
                return TransactionPooler(keeps_prepared=False)
            if is_found:
                return TransactionPooler(keeps_prepared=True)
            if backend == first.info.backend_pid:
                return None
            with psycopg.connect(url, **options) as second:
                is_found = _backend(second, prepare=False) == backend
                # Closed within its transaction, it takes the server's connection with it, so the first gets another.
                second.close()
    return None


def _backend(connection: psycopg.Connection[Any], *, prepare: bool) -> int:
    row = connection.execute(_BACKEND, prepare=prepare).fetchone()
    assert row is not None
    return int(row[0])
