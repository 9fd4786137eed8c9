"""Tests of one ``xdist_group`` run in one process of the run.

pytest-xdist 3.8 says so to its scheduler by a suffix to the test's id, in an attribute that pytest 9.2 reads no more:
without this, groups are silently taken apart, and every process loads CrewAI and starts stacks of its own.
"""

import pytest
from _pytest.nodeid import NodeId


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put ``@group`` behind the ids of what has one."""
    for item in items:
        mark = item.get_closest_marker("xdist_group")
        if mark is not None and not item.nodeid.endswith(f"@{mark.args[0]}"):
            item._id = NodeId.parse(f"{item.nodeid}@{mark.args[0]}")
