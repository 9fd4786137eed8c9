"""Watches what processes leave on disk: which files they hold open for writing, and where a word stands."""

import os
import stat
import threading
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

_PAUSE_SECONDS = 0.01
_READ_BYTES = 8_000_000


@dataclass
class Watched:
    """What was seen: files that were open for writing, and files that held the word."""

    written: set[Path] = field(default_factory=set)
    found: set[Path] = field(default_factory=set)


@contextmanager
def watching(word: bytes, pid: int, folders: Sequence[Path], *, allowed: Collection[Path] = ()) -> Iterator[Watched]:
    """Look again and again at the process `pid` and at those below it, and through `folders` but those `allowed`."""
    seen, ended = Watched(), threading.Event()

    def look() -> None:
        while not ended.wait(_PAUSE_SECONDS):
            with suppress(psutil.Error):
                top = psutil.Process(pid)
                for process in (top, *top.children(recursive=True)):
                    seen.written.update(open_for_writing(process.pid))
            seen.found.update(holding(word, folders, allowed))

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join(30)


def open_for_writing(pid: int) -> Iterator[Path]:
    """Files on disk with a name that the process holds open for writing."""
    with suppress(OSError):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                target = descriptor.readlink()
                about = Path(f"/proc/{pid}/fdinfo/{descriptor.name}").read_text(encoding="ascii")
                flags = int(about.partition("flags:")[2].split()[0], 8)
                if (
                    flags & (os.O_WRONLY | os.O_RDWR)
                    and stat.S_ISREG(target.stat().st_mode)
                    and not target.is_relative_to("/proc")
                ):
                    yield target


def files_below(folders: Sequence[Path], allowed: Collection[Path] = ()) -> Iterator[Path]:
    """Every file below the folders, whatever goes away meanwhile; not what is below those `allowed`."""
    left_out = {str(folder) for folder in allowed}
    for folder in folders:
        for parent, inner, names in os.walk(folder):
            inner[:] = [name for name in inner if f"{parent}/{name}" not in left_out]
            yield from (Path(parent) / name for name in names)


def holding(word: bytes, folders: Sequence[Path], allowed: Collection[Path] = ()) -> Iterator[Path]:
    """The files below the folders that contain the word, in their names or in their first 8 MB."""
    for path in files_below(folders, allowed):
        with suppress(OSError):
            if word in os.fsencode(path):
                yield path
            elif stat.S_ISREG(path.lstat().st_mode):
                with path.open("rb") as file:
                    if word in file.read(_READ_BYTES):
                        yield path
