import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.observe.shortening import divide, shorten, shorten_query, write

_promtool = shutil.which("promtool")


def test_every_duration_is_divided() -> None:
    rules = {rule["alert"]: rule for group in shorten(20)["groups"] for rule in group["rules"] if "alert" in rule}
    assert rules["WaybillJobsWait"]["expr"].endswith("> 15")
    assert rules["WaybillJobsWait"]["for"] == "15s"
    fast = rules["WaybillSubmitAvailabilityBurnsFast"]["expr"]
    assert "[180s]) * 15 / count_over_time" in fast
    windows = {window for rule in rules.values() for window in re.findall(r"\[(\w+)\]", rule["expr"])}
    assert all(window.endswith("s") for window in windows)
    assert divide("1m", 100) == "1s"
    assert shorten_query("rate(x[5m]) > 300", 20) == "rate(x[15s]) > 300", "only seconds are divided"


@pytest.mark.skipif(_promtool is None, reason="promtool is not installed")
def test_prometheus_takes_them(tmp_path: Path) -> None:
    assert _promtool is not None
    done = subprocess.run(
        [_promtool, "check", "rules", write(tmp_path, 20)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
