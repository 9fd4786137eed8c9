"""CrewAI reaches nobody and writes nothing: a job in a fresh process, watched from before the import to the end."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.factories.processes import ROOT


@pytest.mark.timeout(600)
def test_a_crew_reaches_no_one_and_writes_nothing(tmp_path: Path) -> None:
    given = {name: value for name, value in os.environ.items() if not name.startswith(("CREWAI_", "OTEL_", "WAYBILL_"))}
    done = subprocess.run(
        [sys.executable, "-m", "tests.factories.guarded_research"],
        cwd=ROOT,
        # As in a container: nobody can write below the home folder.
        env={**given, "HOME": "/proc/no-home", "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT)},
        check=True,
        capture_output=True,
        text=True,
        timeout=580,
    )
    reported = json.loads(done.stdout.splitlines()[-1])
    assert reported["heard"] == 2, "the guard hears what this process attempts"
    assert reported["crewai"]
    assert "crewai:reviewer" in reported["steps"]
    assert reported["attempts"] == []
    # CrewAI makes a key for its own sign-in, and tries whether its settings could be written: nothing of a job.
    harmless = re.compile(r"/crewai/(credentials/secret\.key|\.crewai_write_test)")
    own = [path for path in reported["written"] if not harmless.search(path)]
    # The standard library tries whether the temporary folder can be written.
    assert [path for path in own if Path(path).parent != tmp_path] == []
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in left if b"extended cover" in path.read_bytes().lower()] == []
