"""What runs where and when: a module's tests in one process of the run, and long ones beside short ones.

A module shares its fixtures, so its tests stay together; what has an ``xdist_group`` stays with its group. What starts
processes of the product waits more than it works, so these tests are dealt out one by one, to every other process of
the run. The others compute meanwhile. Each half helps with what the other has left. What may take longest starts first.

pytest-xdist 3.8 says so to its scheduler by a suffix to the test's id, in an attribute that pytest 9.2 reads no more:
without this, groups are silently taken apart, and every process loads CrewAI and starts stacks of its own.
"""

import os

import pytest
from _pytest.nodeid import NodeId
from xdist.remote import Producer
from xdist.scheduler import LoadGroupScheduling
from xdist.workermanage import WorkerController

from tests.factories import processes

_STARTERS = (
    processes.start,
    processes.running,
    processes.dispatcher,
    processes.worker,
    processes.pool_of,
    processes.supervised_worker,
)


def pytest_configure() -> None:
    """Let what only computes wait for what has leases and clocks to keep."""
    if int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 2:
        os.nice(5)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what starts processes, put it first, and under xdist put ``@group`` behind the ids."""
    for module in {module for item in items if (module := item.getparent(pytest.Module)) is not None}:
        if any(value is starter for value in vars(module.obj).values() for starter in _STARTERS):
            module.add_marker("stack")
    items.sort(key=_turn)
    if "PYTEST_XDIST_WORKER" not in os.environ:
        return
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        group = mark.args[0] if mark is not None else item.nodeid.partition("::")[0]
        if (mark is not None or not _is_long(item)) and not item.nodeid.endswith(f"@{group}"):
            item._id = NodeId.parse(f"{item.nodeid}@{group}")


class _HalfAndHalf(LoadGroupScheduling):  # type: ignore[misc] # xdist has no types
    """Gives every other process of the run whole modules, while there are any, and the rest to the others."""

    def _assign_work_unit(self, node: WorkerController) -> None:
        if int(node.gateway.id.removeprefix("gw")) % 2:
            module = next((scope for scope in self.workqueue if scope.endswith(".py")), None)
            if module is not None:
                self.workqueue.move_to_end(module, last=False)
        super()._assign_work_unit(node)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadGroupScheduling | None:
    """The scheduler of ``--dist loadgroup``."""
    return _HalfAndHalf(config, log) if config.getvalue("dist") == "loadgroup" else None


def _turn(item: pytest.Item) -> tuple[bool, bool, float]:
    """Groups of long tests before single ones, of each first what has the longest timeout, and what is short last."""
    timeout = item.get_closest_marker("timeout")
    seconds = float(timeout.args[0]) if timeout is not None else 0.0
    is_long = _is_long(item)
    return (not is_long, item.get_closest_marker("xdist_group") is None, -seconds if is_long else 0.0)


def _is_long(item: pytest.Item) -> bool:
    return any(item.get_closest_marker(name) is not None for name in ("stack", "heavy"))
