"""The folder of a stack: its lock, its secrets, and the run file that other terminals read.

One stack runs per folder. A lock on an open file (flock(2)) ensures it; the kernel releases it with the last process
that holds it, so a crash never leaves a folder locked.
"""

import fcntl
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Any

import psutil

from core.kit.settings import RUN_FILE
from waybill.stack.errors import StackError

SECRET_KEY_FILE = "secret.key"  # noqa: S105 - the name of the file
PSEUDONYM_KEY_FILE = "pseudonym.key"
SIGNING_KEY_FILE = "signing.key"
_LOCK_FILE = "stack.lock"
_PAUSE_SECONDS = 0.05
# A reader of the lock holds it for microseconds; a stack holds it for as long as it lives.
_PASSING_SECONDS = 0.5
_SECRET_BYTES = 48


class Home:
    """The folder of one stack; nothing is written before `acquire`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: IO[str] | None = None

    @property
    def lock_descriptor(self) -> int:
        """The locked file, for the process that cleans up after a crash and inherits the lock."""
        assert self._lock is not None
        return self._lock.fileno()

    @property
    def logs(self) -> Path:
        """The folder of the logs."""
        return self.folder / "logs"

    def acquire(self, patience_seconds: float) -> None:
        """Lock this folder for this stack.

        Waits up to `patience_seconds` while the parts of a killed stack are still being cleaned up. Raises
        `StackError`, with the id of the process that runs here.
        """
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.logs.mkdir(mode=0o700, exist_ok=True)
            lock = _open_lock(self.folder)
        except OSError as error:
            raise StackError(
                f"{self.folder} is not writable ({error.strerror}); set WAYBILL_HOME to a writable folder"
            ) from error
        began = monotonic()
        while not _try_lock(lock, fcntl.LOCK_EX):
            waited = monotonic() - began
            pid = _read_pid(self.folder)
            if waited > _PASSING_SECONDS and pid is not None and _is_alive(pid):
                lock.close()
                raise StackError(
                    f"a stack is already running in {self.folder}, as process {pid}; use that one, stop it "
                    f"(kill {pid}), or give this one another folder with WAYBILL_HOME"
                )
            if waited > patience_seconds:
                lock.close()
                raise StackError(f"the stack that ran in {self.folder} was killed and its parts are still stopping")
            sleep(_PAUSE_SECONDS)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock

    def release(self) -> None:
        """Unlock the folder for another stack."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def read_run_file(self) -> dict[str, Any]:
        """The contents of the run file, even a crashed stack's; empty when there is none."""
        return _read_run_file(self.folder)

    def write_run_file(self, settings: Mapping[str, Any]) -> None:
        """Write the run file for other terminals. Atomic: a reader sees no file or all of it."""
        _write_private(self.folder / RUN_FILE, json.dumps({"pid": os.getpid(), "settings": dict(settings)}, indent=1))

    def remove_run_file(self) -> None:
        """Remove the run file."""
        (self.folder / RUN_FILE).unlink(missing_ok=True)

    def load_or_create_secret(self, name: str, make: Callable[[], str] | None = None) -> str:
        """The secret of that name, created at the first call, readable by its owner only."""
        path = self.folder / name
        try:
            return path.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            value = make() if make else secrets.token_urlsafe(_SECRET_BYTES)
            self.store_secret(name, value)
            return value

    def store_secret(self, name: str, value: str) -> None:
        """Replace the secret of that name."""
        self.write(name, value)

    def write(self, name: str, text: str) -> None:
        """Replace the file of that name. Atomic: a reader sees the old text or the new one."""
        _write_private(self.folder / name, text)

    def find_secret(self, name: str) -> str | None:
        """The secret of that name, None when there is none yet."""
        try:
            return (self.folder / name).read_text(encoding="utf-8").strip() or None
        except OSError:
            return None


def running_stack(folder: Path) -> dict[str, Any] | None:
    """The run file of the stack that is running in `folder`; None if none is, even if a crash left a file."""
    found = _read_run_file(folder)
    if not found:
        return None
    try:
        lock = _open_lock(folder)
    except OSError:
        return None
    with lock:
        if _try_lock(lock, fcntl.LOCK_SH):
            return None
    pid = found.get("pid")
    return found if isinstance(pid, int) and _is_alive(pid) else None


def _read_run_file(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / RUN_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _open_lock(folder: Path) -> IO[str]:
    descriptor = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    return os.fdopen(descriptor, "r+", encoding="utf-8")


def _try_lock(lock: IO[str], kind: int) -> bool:
    try:
        fcntl.flock(lock, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read_pid(folder: Path) -> int | None:
    text = (folder / _LOCK_FILE).read_text(encoding="utf-8")
    return int(text) if text.isdigit() else None


def _is_alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _write_private(path: Path, text: str) -> None:
    # mkstemp makes the file readable by its owner only, before anything is in it.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
