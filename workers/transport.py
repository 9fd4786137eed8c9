"""kombu's Redis transport, without what it repeats for every message.

kombu makes a client for every command, which costs several times the command itself, and guards each send so that a
message is not sent twice. Here that may happen at any time (ADR 4).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from kombu.transport import redis


class Channel(redis.Channel):
    """Keeps one client for its commands, and sends what a producer gathers in one packet."""

    # kombu refuses where a timeout is retried, as the messages may then come twice.
    supports_batch_publish = True
    _kept: Any = None

    @contextmanager
    def conn_or_acquire(self, client: Any = None) -> Iterator[Any]:
        """Kombu's hook: a client for commands. Several threads may use it at once."""
        if client is not None:
            yield client
            return
        # The pool is another after a fork, and after the connection was lost.
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = self._create_client()  # type: ignore[no-untyped-call]
        yield self._kept


class Transport(redis.Transport):
    """The transport that the Celery application uses."""

    Channel = Channel
    supports_batch_publish = True
