"""Shares out a fresh clone's rewriting of assertions, which each process of a run would else do for all test modules.

They would all begin at the same time, and with the same module, so that none finds what another has written.
"""

import os
import sys
from pathlib import Path

import pytest
from _pytest.assertion import rewrite

_TESTS = Path(__file__).parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Rewrite every n-th module before any is imported."""
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker is None or sys.dont_write_bytecode:
        return
    modules = sorted(path for pattern in ("test_*.py", "conftest.py") for path in _TESTS.rglob(pattern))
    share = slice(int(worker.removeprefix("gw")), None, int(os.environ["PYTEST_XDIST_WORKER_COUNT"]))
    for module in modules[share]:
        _rewrite(module, session.config)


def _rewrite(module: Path, config: pytest.Config) -> None:
    written = rewrite.get_cache_dir(module) / f"{module.stem}{rewrite.PYC_TAIL}"
    # One that is out of date is found by whoever imports it first.
    if not written.exists() and rewrite.try_makedirs(written.parent):
        about, code = rewrite._rewrite_test(module, config)
        rewrite._write_pyc(config.stash[rewrite.assertstate_key], code, about, written)
