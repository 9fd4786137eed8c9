"""What each process of a run imports costs it little: the bytecode is written once, and not looked through for garbage.

All processes of a run collect all tests at the same moment. On a fresh clone, each would compile the product and
rewrite the assertions of some 400 test modules for itself, which takes longer than to import them.
"""

import compileall
import gc
import os
import sys
from collections.abc import Generator, Sequence
from multiprocessing import get_context
from pathlib import Path

import pytest
from _pytest.assertion import rewrite
from _pytest.assertion.rewrite import assertstate_key

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("api", "core", "infra", "pipelines", "tests", "waybill", "workers")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Write the bytecode that is missing, before xdist starts the processes that read it."""
    if sys.dont_write_bytecode or not session.config.getoption("numprocesses", None):
        return
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py"))]
    writers = os.cpu_count() or 1
    # Forked, as the rewriting of assertions needs pytest's configuration.
    processes = [
        get_context("fork").Process(target=_write_bytecode, args=(session.config, files[first::writers]))
        for first in range(writers)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def _write_bytecode(config: pytest.Config, files: Sequence[Path]) -> None:
    for file in files:
        if file.name.startswith("test_") or file.name == "conftest.py":
            _write_rewritten(config, file)
        else:
            compileall.compile_file(file, quiet=1)


def _write_rewritten(config: pytest.Config, file: Path) -> None:
    folder = rewrite.get_cache_dir(file)
    written = folder / f"{file.stem}{rewrite.PYC_TAIL}"
    if rewrite.try_makedirs(folder) and rewrite._read_pyc(file, written) is None:
        source_hash, code = rewrite._rewrite_test(file, config)
        rewrite._write_pyc(config.stash[assertstate_key], code, source_hash, written)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Leave to the garbage collector what tests make: to look through a million objects of modules takes seconds."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()
