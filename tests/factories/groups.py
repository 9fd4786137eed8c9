"""What runs where and when: a module's tests in one process of the run, those that start processes first and spread.

A module shares its fixtures, so its tests stay together; what has an ``xdist_group`` stays with its group. What starts
processes of the product waits more than it works, so these tests are dealt out one by one, before everything else.

pytest-xdist 3.8 says so to its scheduler by a suffix to the test's id, in an attribute that pytest 9.2 reads no more:
without this, groups are silently taken apart, and every process loads CrewAI and starts stacks of its own.
"""

import os

import pytest
from _pytest.nodeid import NodeId

from tests.factories import processes

_STARTERS = (
    processes.start,
    processes.running,
    processes.dispatcher,
    processes.worker,
    processes.pool_of,
    processes.supervised_worker,
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts processes, put it first, and under xdist put ``@group`` behind the ids."""
    for module in {module for item in items if (module := item.getparent(pytest.Module)) is not None}:
        if any(value is starter for value in vars(module.obj).values() for starter in _STARTERS):
            module.add_marker("stack")
    items.sort(key=lambda item: not _is_long(item))
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        group = mark.args[0] if mark is not None else item.nodeid.partition("::")[0]
        if (mark is not None or not _is_long(item)) and not item.nodeid.endswith(f"@{group}"):
            item._id = NodeId.parse(f"{item.nodeid}@{group}")


def _is_long(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) is not None for name in ("stack", "heavy"))
