"""CrewAI makes no connection of its own: a job in a fresh process, watched from before the import to the end."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories.processes import ROOT


@pytest.mark.timeout(170)
def test_a_crew_reaches_nobody(tmp_path: Path) -> None:
    given = {name: value for name, value in os.environ.items() if not name.startswith(("CREWAI_", "OTEL_", "WAYBILL_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.factories.guarded_research"],
        cwd=ROOT,
        env={**given, "HOME": str(tmp_path), "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
        timeout=160,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["heard"] == 2, "the guard hears what this process attempts"
    assert told["crewai"]
    assert "crewai:reviewer" in told["steps"]
    assert told["attempts"] == []
