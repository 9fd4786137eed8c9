"""What clients of the tests' servers go through: ``WAYBILL_TEST_SERVERS`` is ``pgbouncer``, ``tls`` or unset.

An entrance is named by a part of an address, such as ``postgresql://127.0.0.1:6432?sslmode=verify-full``, which
replaces that part of the server's own.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from sqlalchemy.engine import make_url

from tests.factories.certificates import Authority
from tests.factories.waiting import wait_until
from waybill.stack.child import guarded
from waybill.stack.postgres import free_port, unprivileged
from waybill.stack.valkey import EmbeddedValkey

KIND = os.environ.get("WAYBILL_TEST_SERVERS", "")
assert KIND in {"", "pgbouncer", "tls"}, f"WAYBILL_TEST_SERVERS is {KIND!r}: not pgbouncer, tls or unset"
_PGBOUNCER = """
[databases]
* = host=127.0.0.1 port={server.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
pool_mode = {mode}
auth_type = scram-sha-256
auth_file = {folder}/users.txt
auth_user = {server.username}
max_client_conn = 2000
default_pool_size = 20
server_idle_timeout = 5
"""


class _Entrance:
    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def _start(self, command: Sequence[str]) -> None:
        with self._log.open("ab") as file:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        wait_until(self._answers, timeout_seconds=30, what=f"the entrance to answer (log: {self._log})")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text(encoding="utf-8")
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def stop(self) -> None:
        """End it, and with it every connection."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)
            self._process = None


class PgBouncer(_Entrance):
    """Debian's PgBouncer before the server at `server_url`, whose logins it asks the server for."""

    def __init__(self, folder: Path, server_url: str, *, mode: str = "transaction") -> None:
        folder.mkdir()
        super().__init__(folder / "pgbouncer.log")
        self._folder, self._server, self._mode = folder, make_url(server_url), mode

    def start(self) -> str:
        """Returns the entrance."""
        program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
        assert program is not None, "PgBouncer is not installed: apt install pgbouncer"
        self.port = free_port()
        configuration = _PGBOUNCER.format(port=self.port, server=self._server, folder=self._folder, mode=self._mode)
        (self._folder / "pgbouncer.ini").write_text(configuration, encoding="utf-8")
        users = f'"{self._server.username}" "{self._server.password}"\n'
        (self._folder / "users.txt").write_text(users, encoding="utf-8")
        command = [program, "--quiet", str(self._folder / "pgbouncer.ini")]
        # Like Postgres, it does not run as root.
        self._start([*unprivileged(), *guarded(command, signal.SIGTERM)])
        return f"postgresql://127.0.0.1:{self.port}"


class TlsEntrance(_Entrance):
    """TLS, and nothing else, before a server of ours on `server_port`; its certificate is for `names`."""

    def __init__(self, folder: Path, server_port: int, kind: str, names: Sequence[str] = ("127.0.0.1",)) -> None:
        folder.mkdir(exist_ok=True)
        super().__init__(folder / f"tls-{kind}.log")
        self.authority = Authority(folder)
        self._certificate = self.authority.certify(*names)
        self._server_port, self._kind = server_port, kind

    def start(self) -> str:
        """Returns the entrance."""
        self.port = self.port or free_port()
        ports = (str(self.port), str(self._server_port))
        command = [sys.executable, "-m", "tests.factories.tls_front", *ports, str(self._certificate), self._kind]
        self._start(guarded(command))
        if self._kind == "postgres":
            return f"postgresql://127.0.0.1:{self.port}?sslmode=verify-full&sslrootcert={self.authority.file}"
        return f"rediss://127.0.0.1:{self.port}/0?ssl_ca_certs={self.authority.file}"


def through(entrance: str, url: str) -> str:
    """`url` by way of `entrance`; the empty one is the server's own."""
    if not entrance:
        return url
    at = make_url(entrance)
    entered = make_url(url).set(drivername=at.drivername, host=at.host, port=at.port).update_query_dict(at.query)
    return entered.render_as_string(hide_password=False)


class TlsValkey(EmbeddedValkey):
    """A Valkey whose address is that of its TLS."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._entrance: TlsEntrance | None = None
        self._address = ""

    @property
    def url(self) -> str:
        """The address with its password."""
        return self._address.replace("//", f"//:{self._password()}@", 1)

    def start(self) -> None:
        """Start both, the entrance once."""
        super().start()
        if self._entrance is None:
            self._entrance = TlsEntrance(self._folder, self.port, "redis")
            self._address = self._entrance.start()

    def close(self) -> None:
        """Stop both."""
        self.stop()
        if self._entrance is not None:
            self._entrance.stop()


def entrance_of_run(folder: Path, server_url: str) -> PgBouncer | TlsEntrance | None:
    """What this run puts before the Postgres at `server_url`."""
    if KIND == "pgbouncer":
        return PgBouncer(folder / "pgbouncer", server_url)
    if KIND == "tls":
        return TlsEntrance(folder / "tls", make_url(server_url).port or 5432, "postgres")
    return None
