"""psycopg's pipeline mode, with the commands of a block in one packet and one round trip.

psycopg sends each command at once, waits for the socket between them, and asks for the answers once more at the end: a
transaction of one statement was five packets or more, and three round trips. Two of its hooks are not public; its
version is locked, and ``tests/core/kit/test_pipelines.py`` counts what is sent.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import psycopg
from psycopg._pipeline import Pipeline
from psycopg.abc import PipelineCommand, PQGen
from psycopg.generators import send


class GatheringPipeline(Pipeline):
    """Sends nothing before the end of its block."""

    _is_complete = False
    _is_sent = False

    def add(self, command: bytes) -> None:
        """Add a command without parameters and rows, which costs less than a cursor's."""
        self.command_queue.append(partial(self.pgconn.send_query_params, command, None))
        self.result_queue.append(None)

    def _communicate_gen(self) -> PQGen[None]:
        # psycopg's hook: called after every command that is added.
        if self._is_complete:
            yield from super()._communicate_gen()

    def _exit_gen(self) -> PQGen[None]:
        # psycopg's hook: called once, by the end of the block.
        self._enqueue_sync()
        commands = list(self.command_queue)
        self.command_queue.clear()
        # Between two entries of its queue, psycopg flushes and polls.
        self.command_queue.append(partial(self._send_all, commands))
        self._is_complete = True
        try:
            yield from self._communicate_gen()
        finally:
            if self._is_sent:
                # What the socket's buffer did not hold; the server may have to be read from meanwhile.
                yield from send(self.pgconn)
                yield from self._fetch_gen(flush=False)
            else:
                # Answers to what was not sent would be waited for in vain.
                self.pgconn.finish()

    def _send_all(self, commands: list[PipelineCommand]) -> None:
        for command in commands:
            command()
        self._is_sent = True


@contextmanager
def gathering(connection: psycopg.Connection[Any]) -> Iterator[GatheringPipeline]:
    """What is executed in the block is sent and answered at its end. Raises the first error among the answers then."""
    pipeline = connection._pipeline = GatheringPipeline(connection)  # noqa: SLF001 - see above
    try:
        with pipeline:
            yield pipeline
    finally:
        connection._pipeline = None  # noqa: SLF001
