"""``waybill logs --job``: every process's lines about a job, in the order in which they were written."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.kit.ids import JOB, encode, new_id
from tests.waybill.cli.conftest import Cli
from waybill.cli.exits import Exit

JOB_ID, OTHER = encode(JOB, new_id()), encode(JOB, new_id())
TRACE, STRANGE = "0af7651916cd43dd8448eb211c80319c", "1bf7651916cd43dd8448eb211c80319c"


def line(second: int, event: str, **fields: Any) -> str:
    stamp = f"2026-11-30T15:00:{second:02}.123456Z"
    return json.dumps({"schema": 1, "event": event, "level": "info", "timestamp": stamp, "logger": "x", **fields})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    logs = tmp_path / "home" / "logs"
    logs.mkdir(parents=True)
    ours: dict[str, Any] = {"job_id": JOB_ID, "trace_id": TRACE}
    files = {
        "api.log": [
            line(1, "http_request", service="api", route="/v1/jobs", trace_id=TRACE),
            line(2, "http_request", service="api", route="/v1/jobs", trace_id=STRANGE),
            # Who reads the job is part of its story; what else that request did is not.
            line(9, "http_request", service="api", path=f"/v1/jobs/{JOB_ID}", trace_id=STRANGE),
        ],
        "worker-a.log": [
            "/lib/celery/platforms.py:893: SecurityWarning: not a line of ours",
            line(8, "job_attempt_ended", service="worker-a", **ours),
            line(7, "job_attempt_crashed", service="worker-a", level="error", exception="Traceback\n  x", **ours),
            line(7, "job_started", service="worker-a", job_id=OTHER, trace_id=STRANGE),
            f'{{"event": "torn", "job_id": "{JOB_ID}", ',
        ],
        # What was put aside when the file had grown large.
        "worker-a.log.1": [line(6, "job_started", service="worker-a", **ours)],
    }
    for name, written in files.items():
        (logs / name).write_text("\n".join(written) + "\n", encoding="utf-8")
    return logs.parent


def test_lines_of_every_process_come_in_the_order_of_time(isolated: Cli, home: Path) -> None:
    shown = isolated("logs", "--job", JOB_ID, WAYBILL_HOME=str(home))
    assert shown.exit_code == 0, shown.stderr
    events = [row.split()[3] for row in shown.stdout.splitlines() if row.startswith("15:00:")]
    assert events == ["http_request", "job_started", "job_attempt_crashed", "job_attempt_ended", "http_request"]
    assert "Traceback\n  x" in shown.stdout
    assert OTHER not in shown.stdout

    as_json = isolated("logs", "--job", JOB_ID, "--json", WAYBILL_HOME=str(home))
    parsed = [json.loads(row) for row in as_json.stdout.splitlines()]
    assert [each["event"] for each in parsed] == events
    assert parsed[0]["trace_id"] == TRACE

    severe = isolated("logs", "--job", JOB_ID, "--level", "error", "--json", WAYBILL_HOME=str(home))
    assert [json.loads(row)["event"] for row in severe.stdout.splitlines()] == ["job_attempt_crashed"]


def test_what_is_not_there_is_said(isolated: Cli, home: Path, tmp_path: Path) -> None:
    unknown = encode(JOB, new_id())
    missing = isolated("logs", "--job", unknown, WAYBILL_HOME=str(home))
    assert missing.exit_code == Exit.FAILED
    assert unknown in missing.stderr
    never = isolated("logs", "--job", unknown, WAYBILL_HOME=str(tmp_path / "nowhere"))
    assert never.exit_code == Exit.SETUP
    assert "waybill up" in never.stderr
    assert isolated("logs", "--job", "prj_x", WAYBILL_HOME=str(home)).exit_code == Exit.USAGE


def test_a_line_cannot_move_the_terminals_cursor(isolated: Cli, home: Path) -> None:
    with (home / "logs" / "api.log").open("a", encoding="utf-8") as file:
        file.write(line(10, "odd", service="api", job_id=JOB_ID, path="\x1b[2J\x1b]0;title\x07") + "\n")
    shown = isolated("logs", "--job", JOB_ID, WAYBILL_HOME=str(home))
    assert "odd" in shown.stdout
    assert "\x1b" not in shown.stdout
