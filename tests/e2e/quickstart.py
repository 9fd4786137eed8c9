"""Follows docs/quickstart.md beside a running stack, command by command, as it is written."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.factories.console import commands
from tests.factories.processes import ROOT

PAGE = ROOT / "docs" / "quickstart.md"
# In the order of the page; an ellipsis on the page stands for anything.
EXPECTED = (
    "knowledge.search",
    "1 read, 0 unchanged, 0 failed",
    "Highest compensation: EUR 750",
    "TOTAL",
    "running (attempt 1)",
    "holds  the signature by key",
    "holds  2 cost lines add up to",
)


def follow(folder: Path, environment: Mapping[str, str]) -> str:
    """Run the page's ``waybill`` commands in `folder`, and return what they printed. Raises AssertionError."""
    (folder / "samples").symlink_to(ROOT / "samples")
    variables = {**environment, "PYTHONPATH": str(ROOT), "PATH": _path_with_waybill(folder)}
    shown, job = "", ""
    for command in commands(PAGE):
        done = subprocess.run(
            ["bash", "-c", command.replace("job_…", job)],
            env=variables,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        shown += done.stdout
        job = next(iter(re.findall(r"\bjob_\w{26}\b", done.stdout)), job)
    for text in EXPECTED:
        assert text in shown, f"{text!r} is not in\n{shown}"
    return shown


def _path_with_waybill(folder: Path) -> str:
    program = folder / "bin" / "waybill"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m waybill "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return f"{program.parent}{os.pathsep}{os.environ['PATH']}"
