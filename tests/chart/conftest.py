"""This folder is run by ``make chart-test``, which installs the tools first; other runs leave it out."""

import os
from pathlib import Path

import pytest

from tests.chart.rendering import VALUES

collect_ignore_glob = [] if os.environ.get("WAYBILL_CHART_TOOLS") else ["test_*.py"]


@pytest.fixture(params=VALUES, ids=lambda path: path.name.removesuffix("-values.yaml"))
def values(request: pytest.FixtureRequest) -> Path:
    """One of the chart's examples of values."""
    path: Path = request.param
    return path
