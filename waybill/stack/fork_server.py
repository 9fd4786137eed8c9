"""A process that has imported the product once; forks of it become the Python processes of a stack (Linux).

A dozen processes that each import the product spend most of a start, and most of an idle stack's memory, on the same
modules. The server holds no secret, opens nothing and starts no thread. Its forks are its children: it reports when
each has ended, and when it ends itself, the kernel sends each fork SIGTERM.

Both sides speak lines of JSON over a socket pair: the client orders imports and forks, the server reports that it is
ready, and each fork's process id and end.
"""

import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from time import monotonic
from typing import Any

from core.kit.garbage import uncollected
from core.kit.parentage import end_with_parent
from waybill.stack.errors import StackError

IS_AVAILABLE = sys.platform == "linux"
_ANSWER_SECONDS = 60.0
_READ_BYTES = 1 << 16


class Forked:
    """A process that a server has forked, with the methods of `subprocess.Popen` that a supervisor needs."""

    def __init__(self, pid: int, listen: Callable[[float], bool]) -> None:
        self.pid = pid
        # As of `subprocess.Popen`: minus the signal that ended it, None while it runs.
        self.returncode: int | None = None
        self._listen = listen

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        if self.returncode is None:
            self._listen(0.0)
        return self.returncode

    def wait(self, timeout: float) -> int:
        """Wait for its end; returns the exit code. Raises `TimeoutError`."""
        until = monotonic() + timeout
        while self.returncode is None:
            left = until - monotonic()
            if left <= 0:
                raise TimeoutError(f"process {self.pid} has not ended after {timeout:g} s")
            # Another thread may read of its end.
            self._listen(min(left, 0.1))
        return self.returncode

    def terminate(self) -> None:
        """Ask it to end."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


class ForkServer:
    """The client's side: starts the server, which imports `modules`, and asks it for forks. Any thread may use it.

    `environment` is the server's own, which every fork replaces and others may read in /proc: it holds no secret.
    A server that was killed takes its forks with it, which then count as killed, and is started again by the next
    `fork`.
    """

    def __init__(self, modules: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        self._modules = list(modules)
        self._environment = dict(environment)
        self._log = log
        self._lock = threading.RLock()
        self._server: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._unread = b""
        self._forks: dict[int, Forked] = {}
        self._answers: list[Forked] = []
        self.is_ready = False

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._server.pid if self._server else None

    def start(self) -> None:
        """Start the server, without waiting until it has imported anything. Use the thread that outlives the forks."""
        ours, theirs = socket.socketpair()
        with theirs, self._log.open("ab") as log:
            self._server = subprocess.Popen(  # noqa: S603 - this module
                [sys.executable, "-P", "-m", "waybill.stack.fork_server", str(theirs.fileno()), str(os.getpid())],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
        self._channel, self._unread, self.is_ready = ours, b"", False
        self._send({"import": self._modules})

    def look(self) -> bool:
        """Whether the server has imported everything and can fork at once. Raises `StackError` if it has ended."""
        if not self._listen(0.0):
            raise StackError(f"the process of which the others are forks has ended (log: {self._log})")
        return self.is_ready

    def fork(self, arguments: Sequence[str], environment: Mapping[str, str], log: Path, folder: Path) -> Forked:
        """What ``python -m`` with `arguments` does, in a process group of its own; its output goes to `log`.

        Raises `StackError` if the server does not answer.
        """
        with self._lock:
            if not self._listen(0.0):
                self.start()
            self._send({"fork": [list(arguments), dict(environment), str(log), str(folder)]})
            until = monotonic() + _ANSWER_SECONDS
            while not self._answers:
                if not self._listen(1.0) or monotonic() > until:
                    raise StackError(f"the process of which the others are forks does not answer (log: {self._log})")
            return self._answers.pop()

    def stop(self) -> None:
        """End the server. Forks that still run are sent SIGTERM."""
        with self._lock:
            if self._server is not None:
                self._lose()

    def _send(self, line: Any) -> None:
        assert self._channel is not None
        with suppress(OSError):  # the next look finds that it is gone
            self._channel.sendall(json.dumps(line).encode() + b"\n")

    def _listen(self, seconds: float) -> bool:
        """Take in what the server has reported, waiting for it that long. Returns whether the server runs."""
        with self._lock:
            if self._channel is None:
                return False
            if not select.select([self._channel], [], [], seconds)[0]:
                return True
            try:
                data = self._channel.recv(_READ_BYTES)
            except OSError:
                data = b""
            if not data:
                self._lose()
                return False
            *lines, self._unread = (self._unread + data).split(b"\n")
            for line in lines:
                self._take(json.loads(line))
            return True

    def _take(self, report: dict[str, int]) -> None:
        if "forked" in report:
            forked = Forked(report["forked"], self._listen)
            self._forks[forked.pid] = forked
            self._answers.append(forked)
        elif "ended" in report:
            # A later fork may get the same process id.
            self._forks.pop(report["ended"]).returncode = os.waitstatus_to_exitcode(report["status"])
        else:
            self.is_ready = True

    def _lose(self) -> None:
        assert self._server is not None
        assert self._channel is not None
        self._channel.close()
        self._server.terminate()
        self._server.wait()
        self._server = self._channel = None
        self.is_ready = False
        for forked in self._forks.values():
            if forked.returncode is None:
                forked.returncode = -signal.SIGTERM
        self._forks.clear()


class _Server:
    """The server's side."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._unread = b""
        self._pid = os.getpid()
        self._commands: dict[int, str] = {}
        self._waking, self._woken = os.pipe()
        os.set_blocking(self._woken, False)
        signal.set_wakeup_fd(self._woken)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGINT, signal.SIG_IGN)

    def run(self) -> list[Any] | None:
        """Obey until the client is gone. Returns None in the server, and in each fork what to become."""
        while True:
            readable, _, _ = select.select([self._channel.fileno(), self._waking], [], [])
            if self._waking in readable:
                os.read(self._waking, _READ_BYTES)
                self._reap()
            if self._channel.fileno() in readable:
                data = self._channel.recv(_READ_BYTES)
                if not data:
                    return None
                *lines, self._unread = (self._unread + data).split(b"\n")
                for line in map(json.loads, lines):
                    if "import" in line:
                        self._import(line["import"])
                    elif self._is_fork(" ".join(line["fork"][0])):
                        return list(line["fork"])

    def _report(self, **what: int | bool) -> None:
        self._channel.sendall(json.dumps(what).encode() + b"\n")

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while True:
                pid, status, used = os.wait4(-1, os.WNOHANG)
                if not pid:
                    return
                self._report(ended=pid, status=status)
                ending, seconds = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime
                # With what the processes that it waited for have used.
                command = self._commands.pop(pid)
                sys.stderr.write(f"{command} ({pid}) ended with {ending} after {seconds:.2f} s of processor time\n")
                sys.stderr.flush()

    def _import(self, modules: list[str]) -> None:
        # A collection in a fork would also touch, and so copy, every page of what was imported.
        with uncollected():
            for module in modules:
                # What is not installed is missed by the fork that needs it.
                with suppress(ModuleNotFoundError):
                    import_module(module)
        self._report(ready=True)

    def _is_fork(self, command: str) -> bool:
        pid = os.fork()
        if pid:
            self._commands[pid] = command
            # Both sides make it the leader of its group, so that the client can signal the group at once.
            with suppress(OSError):
                os.setpgid(pid, pid)
            self._report(forked=pid)
            return False
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for descriptor in (self._waking, self._woken):
            os.close(descriptor)
        self._channel.close()
        end_with_parent(self._pid, signal.SIGTERM)
        return True


def _become(arguments: list[str], environment: dict[str, str], log: str, folder: str) -> None:
    from setproctitle import setproctitle

    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    setproctitle(" ".join(arguments))
    os.environ.clear()
    os.environ.update(environment)
    # The interpreter read these when it started.
    places = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [place for place in places if place and place not in sys.path]
    for action in filter(None, environment.get("PYTHONWARNINGS", "").split(",")):
        warnings.simplefilter(action)  # type: ignore[arg-type]
    os.chdir(folder)
    sys.argv = arguments
    runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)


def main(descriptor: int, parent: int) -> None:
    """Serve the client of `descriptor`, which is the process `parent`."""
    end_with_parent(parent, signal.SIGTERM)
    channel = socket.socket(fileno=descriptor)
    order = _Server(channel).run()
    if order is not None:
        _become(*order)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
