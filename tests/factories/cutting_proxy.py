"""A network between a client and an API that drops connections in the middle of an answer."""

import contextlib
import socket
import struct
import threading
from collections.abc import Iterable, Iterator

_STREAM = b"text/event-stream"
_RESET = struct.pack("ii", 1, 0)


class CuttingProxy:
    """Passes bytes on, and resets the n-th answer with `mark` in it after some `pieces[n]` bytes; others are whole."""

    def __init__(self, url: str, pieces: Iterable[int], mark: bytes = _STREAM) -> None:
        self.cuts = 0
        self._mark = mark
        self._target = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
        self._pieces = iter(pieces)
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Cut everything."""
        # A thread that waits in accept is woken by a shutdown, not by a close.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for side in list(self._open):
            self._drop(side)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self._target)
            self._open |= {near, far}
            for pump in (self._up, self._down):
                threading.Thread(target=pump, args=(near, far), daemon=True).start()

    def _up(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := near.recv(65536):
                far.sendall(data)
        self._drop(near, far)

    def _down(self, near: socket.socket, far: socket.socket) -> None:
        left: int | None = None
        with contextlib.suppress(OSError):
            while data := far.recv(65536):
                if left is None and self._mark in data:
                    left = next(self._pieces, None)
                near.sendall(data if left is None else data[:left])
                if left is not None and (left := left - len(data)) <= 0:
                    self.cuts += 1
                    near.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    break
        self._drop(near, far)

    def _drop(self, *sides: socket.socket) -> None:
        for side in sides:
            self._open.discard(side)
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()


@contextlib.contextmanager
def cutting_proxy(url: str, pieces: Iterable[int], mark: bytes = _STREAM) -> Iterator[CuttingProxy]:
    """A proxy before the API at `url`."""
    proxy = CuttingProxy(url, pieces, mark)
    try:
        yield proxy
    finally:
        proxy.close()
