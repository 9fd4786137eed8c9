"""``python -m tests.factories.tls_front PORT SERVER_PORT CERTIFICATE postgres|redis``: TLS before a server without it.

The servers in our wheels are built without TLS. What a client sees is a server that insists on it: a Postgres that
refuses whoever does not ask for it (the protocol's SSLRequest), or a Redis that speaks nothing else.
"""

import asyncio
import contextlib
import ssl
import struct
import sys
from pathlib import Path

import uvloop

_SSL_REQUEST, _GSS_REQUEST = 80877103, 80877104
_CHUNK_BYTES = 64 * 1024
_REFUSAL = b"SFATAL\0C28000\0Mno pg_hba.conf entry for this host, no encryption\0\0"


class TlsFront:
    """Answers on a port of loopback and hands on, decrypted, to another."""

    def __init__(self, server_port: int, context: ssl.SSLContext, *, is_postgres: bool) -> None:
        self._server_port = server_port
        self._context = context
        self._is_postgres = is_postgres

    async def serve(self, port: int) -> None:
        """Answer until cancelled."""
        tls = None if self._is_postgres else self._context
        server = await asyncio.start_server(self._answer, "127.0.0.1", port, ssl=tls)
        async with server:
            await server.serve_forever()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A client that refuses the certificate, or is killed, is the test's affair.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                if not self._is_postgres or await self._agree(reader, writer):
                    await self._hand_on(reader, writer)
        finally:
            writer.close()

    async def _agree(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        while True:
            _, code = struct.unpack("!ii", await reader.readexactly(8))
            if code == _SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(self._context)
                return True
            if code != _GSS_REQUEST:
                writer.write(b"E" + struct.pack("!i", len(_REFUSAL) + 4) + _REFUSAL)
                await writer.drain()
                return False
            writer.write(b"N")

    async def _hand_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        pipes = [asyncio.create_task(_pipe(reader, server_writer)), asyncio.create_task(_pipe(server_reader, writer))]
        try:
            # Whichever side ends first ends the other.
            await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pipe in pipes:
                pipe.cancel()
            await asyncio.gather(*pipes, return_exceptions=True)
            server_writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()


def main(port: str, server_port: str, certificate: str, kind: str) -> None:
    """Serve until SIGTERM."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(Path(certificate))
    front = TlsFront(int(server_port), context, is_postgres=kind == "postgres")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(front.serve(int(port)))


if __name__ == "__main__":
    main(*sys.argv[1:])
