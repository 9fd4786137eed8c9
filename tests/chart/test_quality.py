"""The CronJob of the guide that runs a data set every night."""

from pathlib import Path

import pytest
import yaml

from tests.chart import tools
from tests.chart.rendering import CHART, write

_MANIFESTS = list(yaml.safe_load_all((CHART.parent / "quality.yaml").read_text(encoding="utf-8")))


@pytest.mark.parametrize("version", ["1.33", "1.37"])
def test_it_is_as_kubernetes_says(version: str, tmp_path: Path) -> None:
    path = write(_MANIFESTS, tmp_path / "quality.yaml")
    done = tools.run(tools.KUBERNETES_VALIDATE, "-k", version, "--strict", path)
    assert done.returncode == 0, done.stdout + done.stderr
