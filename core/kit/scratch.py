"""Folders for files with job content, removed when no longer needed, even after the process was killed.

Each process has its own folder inside a folder of its user, readable by that user only, and holds a lock on it that
the kernel releases however the process ends. Every process that starts removes folders without a lock.
"""

import atexit
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

_opening = Lock()
_folders: dict[int, tuple[Path, int]] = {}


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new empty folder for the duration of the block."""
    with tempfile.TemporaryDirectory(dir=process_folder()) as folder:
        yield Path(folder)


def process_folder() -> Path:
    """This process's own folder, removed when the process ends."""
    with _opening:
        pid = os.getpid()
        # A forked process has none yet: its parent's lock ends with the parent.
        if pid not in _folders:
            _folders.clear()
            _folders[pid] = _open_own()
            sweep()
            atexit.register(_close_own, pid)
        return _folders[pid][0]


def sweep() -> int:
    """Remove the folders of processes that have ended; returns how many."""
    removed = 0
    for folder in _root().iterdir():
        with suppress(OSError):
            held = _locked(folder)
            if held is not None:
                shutil.rmtree(folder)
                os.close(held)
                removed += 1
    return removed


def _open_own() -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(dir=_root()))
        held = _locked(folder)
        # Another process may have mistaken it for a dead process's before it was locked.
        if held is not None and folder.exists():
            return folder, held


def _close_own(pid: int) -> None:
    if pid == os.getpid() and pid in _folders:
        folder, held = _folders.pop(pid)
        shutil.rmtree(folder, ignore_errors=True)
        os.close(held)


def _locked(folder: Path) -> int | None:
    """A descriptor that holds the lock of `folder`; None when another process does. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _root() -> Path:
    """The folder of this user. Raises PermissionError when another user created it."""
    root = Path(tempfile.gettempdir()) / f"waybill-{os.getuid()}"
    with suppress(FileExistsError):
        root.mkdir(mode=0o700)
    found = root.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise PermissionError(f"{root} belongs to someone else or is open to others; remove it, or set TMPDIR")
    return root
