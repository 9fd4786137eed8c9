"""The log lines of all processes of a stack about one job, in order."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

LEVELS = ("debug", "info", "warning", "error", "critical")

Line = Mapping[str, Any]


def lines_of_job(logs: Path, job_id: str, *, level: str = "debug") -> list[Line]:
    """The lines that name the job, and those of the traces that its own lines are part of, oldest first.

    `level` is the minimum severity. Reads every file of the folder, including rotated ones, and skips lines that are
    not JSON, such as a library's own output.
    """
    least = LEVELS.index(level)
    naming = list(_named(logs, {job_id}))
    traces = {line["trace_id"] for line in naming if line.get("job_id") == job_id and "trace_id" in line}
    found = {_identity(line): line for line in naming}
    for line in _named(logs, traces):
        if line.get("trace_id") in traces:
            found.setdefault(_identity(line), line)
    return sorted(
        (line for line in found.values() if _severity(line) >= least), key=lambda line: str(line.get("timestamp"))
    )


def _named(logs: Path, words: Iterable[str]) -> Iterator[Line]:
    """The lines that contain one of `words`."""
    wanted = [word.encode() for word in words]
    if not wanted:
        return
    for file in sorted(logs.glob("*.log*")):
        with file.open("rb") as opened:
            for raw in opened:
                if any(word in raw for word in wanted):
                    line = _parse(raw)
                    if line is not None:
                        yield line


def _parse(raw: bytes) -> Line | None:
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    return line if isinstance(line, dict) and "event" in line else None


def _identity(line: Line) -> str:
    return json.dumps(line, sort_keys=True)


def _severity(line: Line) -> int:
    level = line.get("level")
    return LEVELS.index(level) if level in LEVELS else 0
