import hashlib
import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from waybill.cli.answers import ingest_report
from waybill.cli.exits import Exit
from waybill.cli.failures import CliError
from waybill.cli.jobs import read_input
from waybill.cli.keys import parse_duration
from waybill.cli.output import Output
from waybill.cli.timeline import Span, draw, format_ms, spans
from waybill.cli.uploads import compare, select
from waybill.cli.view import JobView
from waybill.cli.watch import _LiveScreen
from waybill.client.models import Document, Event, JobRecord

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(number: int, kind: str, at_ms: float = 0, attempt: int = 1, **data: Any) -> Event:
    return Event(
        id=number,
        type=kind,
        attempt=attempt,
        data=data,
        created_at=START + timedelta(milliseconds=at_ms),
        job_id="job_1",
    )


def folded(*events: Event) -> JobView:
    view = JobView()
    for each in events:
        view.fold(each)
    return view


def test_a_new_attempt_begins_its_text_and_progress_afresh() -> None:
    view = folded(
        event(1, "job.started"),
        event(2, "message.delta", text="half an ans"),
        event(3, "progress.updated", done=3, total=9, message="x"),
        event(4, "job.queued", reason="retry"),
        event(5, "job.started", attempt=2),
        event(6, "message.delta", text="the answer", attempt=2),
    )
    assert (view.text, view.total, view.attempt, view.state) == ("the answer", 0, 2, "running")


def test_a_step_that_repeats_in_a_row_is_one_line_that_counts() -> None:
    view = folded(
        event(1, "step.started", 0, step="plan"),
        event(2, "step.finished", 5, step="plan", duration_ms=5.0),
        event(3, "step.started", 5, step="ingest"),
        event(4, "step.finished", 15, step="ingest", duration_ms=10.0),
        event(5, "step.started", 15, step="ingest"),
        event(6, "step.finished", 45, step="ingest", duration_ms=30.0),
        event(7, "step.started", 45, step="ingest", attempt=2),
    )
    assert [(step.label, step.duration_ms) for step in view.steps] == [
        ("plan", 5.0),
        ("ingest x2", 40.0),
        ("ingest", None),
    ]


def test_an_ingest_says_what_was_left_out_of_each_document() -> None:
    parts = [
        {"what": "hidden_sheet", "text": "Salaries", "pages": [], "count": 1},
        {"what": "hidden_row", "text": "", "pages": [], "count": 3},
    ]
    counts = {"ingested": 1, "unchanged": 0, "failed": 0, "chunks": 2, "embedded": 2}
    document = {"name": "fees.xlsx", "status": "ingested", "left_out": parts}
    result = {"documents": [document], "counts": counts}
    job = JobRecord(id="job_1", capability="knowledge.ingest", state="succeeded", result=result, created_at=START)
    first, *_ = [str(line) for line in ingest_report(job)]
    assert first == "fees.xlsx: left out 1 of hidden sheet (“Salaries”), 3 of hidden row"


def test_the_timeline_accounts_for_the_whole_life_of_a_job() -> None:
    def at(milliseconds: float) -> datetime:
        return START + timedelta(milliseconds=milliseconds)

    job = JobRecord(
        id="job_1",
        capability="a.b",
        state="succeeded",
        attempt=1,
        created_at=START,
        dispatched_at=at(10),
        started_at=at(25),
        finished_at=at(125),
    )
    view = folded(
        event(1, "step.started", 30, step="think"), event(2, "step.finished", 99, step="think", duration_ms=60.5)
    )
    found = [(span.label.strip(), span.start_ms, span.end_ms) for span in spans(job, view)]
    assert found == [
        ("queued", 0, 10),
        ("dispatched", 10, 25),
        ("running (attempt 1)", 25, 125),
        ("think", 30, 90.5),
    ]


def test_a_job_that_never_ran_still_has_a_timeline() -> None:
    job = JobRecord(
        id="job_1", capability="a.b", state="cancelled", created_at=START, finished_at=START + timedelta(seconds=1)
    )
    assert [(span.label, span.duration_ms) for span in spans(job, JobView())] == [("queued", 1000)]


def test_bars_are_to_scale_and_never_leave_their_frame() -> None:
    lines = [
        line.plain
        for line in draw(
            [
                Span("a", 0, 50, "wait"),
                Span("b", 50, 100, "run"),
                Span("c", 99.99, 100, "step"),
                Span("d", 0, 0, "step"),
            ],
            columns=20,
        )
    ]
    assert lines[0].startswith("a" + " " * 6 + "░" * 10 + " " * 10)
    assert lines[1].startswith("b" + " " * 6 + " " * 10 + "█" * 10)
    assert [line.count("█") for line in lines[2:4]] == [1, 1]
    assert len({len(line) for line in lines}) == 1
    assert lines[-1].endswith("100 ms")


@pytest.mark.parametrize(("milliseconds", "text"), [(0.42, "0.4 ms"), (35.4, "35 ms"), (1240.0, "1,240 ms")])
def test_milliseconds_have_three_figures(milliseconds: float, text: str) -> None:
    assert format_ms(milliseconds) == text


def test_the_live_picture_shows_steps_progress_and_the_end_of_a_long_text() -> None:
    output = Output()
    screen_file = io.StringIO()
    output.console = Console(file=screen_file, force_terminal=True, width=60, height=14)
    view = JobView()
    events = [
        event(1, "job.started"),
        event(2, "step.started", step="answer"),
        event(3, "progress.updated", done=3, total=24, message="glossary.md"),
        *(event(10 + number, "message.delta", text=f"line number {number}\n") for number in range(40)),
    ]
    with _LiveScreen(output, "answering") as screen:
        for each in events:
            view.fold(each)
            screen.see(view, each)
        picture = Console(file=io.StringIO(), width=60, height=14, record=True)
        picture.print(screen._picture())
        shown = picture.export_text()
        view.fold(event(99, "job.succeeded"))
    assert "3/24" in shown
    assert "glossary.md" in shown
    assert "answer" in shown
    assert "line number 39" in shown
    assert "line number 0\n" not in shown
    assert len(shown.splitlines()) <= 14
    ended = Text.from_ansi(screen_file.getvalue()).plain
    assert "✓ answering  succeeded" in ended


def test_only_readable_visible_files_of_a_folder_are_picked(tmp_path: Path) -> None:
    for name in ("b/two.PDF", "a.md", ".hidden/x.md", "b/.x.md", "b/program.bin", "c.htm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    found = select([tmp_path])
    assert [file.name for file in found.files] == ["a.md", "b/two.PDF", "c.htm"]
    assert [path.name for path in found.passed_over] == ["program.bin"]
    assert [file.media_type for file in found.files] == ["text/markdown", "application/pdf", "text/html"]
    assert [file.name for file in select([tmp_path / "b" / "program.bin"]).files] == ["program.bin"]


def test_two_files_of_one_name_are_refused(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "same.md").write_text(folder, encoding="utf-8")
    with pytest.raises(CliError, match=r"same\.md") as caught:
        select([tmp_path / "x", tmp_path / "y"])
    assert caught.value.exit_code == Exit.USAGE
    assert [file.name for file in select([tmp_path]).files] == ["x/same.md", "y/same.md"]


def test_what_the_base_has_word_for_word_is_not_sent_but_what_failed_is(tmp_path: Path) -> None:
    def known(name: str, content: bytes, state: str) -> Document:
        return Document(id=f"doc_{name}", name=name, sha256=hashlib.sha256(content).hexdigest(), state=state)

    for name in ("same.md", "changed.md", "failed.md", "new.md", "waiting.md"):
        (tmp_path / name).write_bytes(name.encode())
    difference = compare(
        select([tmp_path]).files,
        [
            known("same.md", b"same.md", "ready"),
            known("changed.md", b"before", "ready"),
            known("failed.md", b"failed.md", "failed"),
            known("waiting.md", b"waiting.md", "pending"),
        ],
    )
    assert [file.name for file in difference.unchanged] == ["same.md"]
    assert [file.name for file, _ in difference.changed] == ["changed.md", "failed.md", "new.md", "waiting.md"]


def test_members_set_one_by_one_win_over_the_input_and_may_be_json() -> None:
    assert read_input('{"a": 1, "b": 2}', ["b=[3]", "c=plain words", "d=x=y"]) == {
        "a": 1,
        "b": [3],
        "c": "plain words",
        "d": "x=y",
    }


@pytest.mark.parametrize(("text", "span"), [("90d", timedelta(days=90)), ("30m", timedelta(minutes=30))])
def test_time_spans_are_read(text: str, span: timedelta) -> None:
    assert parse_duration(text) == span


@pytest.mark.parametrize("text", ["0d", "1", "1y", "-1d", "1.5h", ""])
def test_what_is_no_time_span_is_refused(text: str) -> None:
    with pytest.raises(CliError):
        parse_duration(text)
