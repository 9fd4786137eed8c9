import json
import logging
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from core.kit.ids import JOB, PROJECT, encode, new_id
from core.kit.logging import SCHEMA, bound_log_context, configure_logging, get_logger, scrub, shutdown_logging
from core.kit.logging.export import QUEUE_MAX, LogExport, is_wanted
from core.kit.logging.repeats import WINDOW_SECONDS, Key, Repeats
from core.kit.settings import Settings
from core.kit.telemetry import span
from tests.factories.trace_collector import attributes_of, collecting
from tests.factories.waiting import wait_until


@pytest.fixture(autouse=True)
def _restored() -> Any:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def configured(**changes: Any) -> None:
    configure_logging(Settings(**changes), service="test")


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_a_line_is_json_with_its_fields_and_context(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    with span("work"), bound_log_context(job_id="job_1", project_id="prj_1"):
        get_logger("some.module").info("thing_happened", count=3)
    get_logger("some.module").info("outside")
    inside, outside = lines(capsys)
    assert inside["event"] == "thing_happened"
    assert (inside["service"], inside["logger"], inside["level"]) == ("test", "some.module", "info")
    assert (inside["job_id"], inside["project_id"], inside["count"]) == ("job_1", "prj_1", 3)
    assert inside["schema"] == SCHEMA
    assert len(inside["trace_id"]) == 32
    assert len(inside["span_id"]) == 16
    assert inside["timestamp"].endswith("Z")
    assert "job_id" not in outside
    assert "trace_id" not in outside


def test_the_standard_library_logs_the_same_way(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    with bound_log_context(job_id="job_1"):
        logging.getLogger("celery.worker").warning("lost %s", "redis://:hunter2@host/0")
    (line,) = lines(capsys)
    assert line["event"] == "lost redis://***@host/0"
    assert (line["logger"], line["level"], line["job_id"]) == ("celery.worker", "warning", "job_1")


def test_ids_are_written_as_the_api_writes_them(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    job, project = new_id(), new_id()
    with bound_log_context(job_id=job, project_id=str(project)):
        get_logger("x").info("ran", arm_id=None, endpoint_id="whe_1", other=str(job))
    logging.getLogger("y").warning("stalled", extra={"experiment_id": str(job)})
    ours, theirs = lines(capsys)
    assert (ours["job_id"], ours["project_id"]) == (encode(JOB, job), encode(PROJECT, project))
    assert (ours["arm_id"], ours["endpoint_id"], ours["other"]) == (None, "whe_1", str(job))
    assert theirs["event"] == "stalled"


def test_a_level_below_the_configured_one_is_silent(capsys: pytest.CaptureFixture[str]) -> None:
    configured(log_level="warning")
    get_logger("x").info("quiet")
    logging.getLogger("x").info("quiet")
    get_logger("x").warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://user:hunter2@db:5432/x", "postgresql://***@db:5432/x"),
        ("two redis://:hunter2@a/0 and amqp://u:hunter2@b", "two redis://***@a/0 and amqp://***@b"),
        ("wb_live_abcdefghijkl_hunter2", "wb_live_***"),
        ("Authorization: Bearer hunter2.x-y", "Authorization: Bearer ***"),
        ("basic aHVudGVyMg==", "basic ***"),
        ("https://x/y?sig=hunter2&se=1", "https://x/y?sig=***&se=1"),
        ("AccountKey=hunter2;EndpointSuffix=x", "AccountKey=***;EndpointSuffix=x"),
        ("[SQL: INSERT]\n[parameters: {'input': 'hunter2'}]", "[SQL: INSERT]\n[parameters: [withheld]]"),
        ("duplicate key\nDETAIL:  Key (name)=(hunter2) exists.", "duplicate key\nDETAIL: [withheld]"),
        ("a plain sentence about nothing", "a plain sentence about nothing"),
    ],
)
def test_secrets_are_masked(text: str, expected: str) -> None:
    assert scrub(text) == expected


def test_payloads_and_secrets_never_show_in_logs(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    log = get_logger("x")
    log.info("a", payload={"q": "hunter2"}, prompt="hunter2", password="hunter2", nested={"result": "hunter2"})
    log.info("b", items=["postgres://u:hunter2@h/d"], error=ValueError("redis://:hunter2@h"))
    assert "hunter2" not in capsys.readouterr().err


def test_what_an_exception_quotes_is_withheld(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    said = "1 validation error\n  Bad [type=x, input_value='" + "hunter" + "2', input_type=str]"
    get_logger("x").error("failed", exc_info=ValueError(said))
    (line,) = lines(capsys)
    assert "ValueError" in line["exception"]
    assert "hunter2" not in line["exception"]


def test_the_console_form_is_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    configured(log_format="console")
    get_logger("x").info("thing_happened", url="redis://:hunter2@h")
    text = capsys.readouterr().err
    assert "thing_happened" in text
    assert "hunter2" not in text
    assert not text.startswith("{")


def test_values_json_does_not_know_are_written_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    configured()
    get_logger("x").info("odd", kind=Settings, number=2**70, mapping={1: object}, name="half \ud800")
    (line,) = lines(capsys)
    assert line["event"] == "odd"
    assert line["number"] == 2**70


def test_held_lines_are_written_together_and_in_order_and_urgent_ones_at_once(
    capsys: pytest.CaptureFixture[str],
) -> None:
    configure_logging(Settings(), service="test", hold_seconds=0.1)
    log = get_logger("x")
    log.info("one")
    log.info("two")
    assert lines(capsys) == []
    log.warning("three")
    assert [line["event"] for line in lines(capsys)] == ["one", "two", "three"]
    log.info("four")
    written: list[dict[str, Any]] = []

    def arrived() -> bool:
        written.extend(lines(capsys))
        return bool(written)

    wait_until(arrived, timeout_seconds=5, what="the held line")
    assert [line["event"] for line in written] == ["four"]
    configured()
    log.info("five")
    assert [line["event"] for line in lines(capsys)] == ["five"]


def test_no_line_is_lost_or_torn_between_threads(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Settings(log_repeats_per_minute=0), service="test", hold_seconds=0.01)

    def write(thread: int) -> None:
        for number in range(200):
            (get_logger("x").warning if number % 50 == 0 else get_logger("x").info)(
                "line", thread=thread, number=number
            )

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    configured()
    get_logger("x").warning("last")
    found = [(line["thread"], line["number"]) for line in lines(capsys) if line["event"] == "line"]
    assert sorted(found) == [(thread, number) for thread in range(8) for number in range(200)]


def test_held_lines_are_written_at_exit() -> None:
    code = (
        "from core.kit.logging import *; from core.kit.settings import Settings;"
        "configure_logging(Settings(), service='x', hold_seconds=60); get_logger('x').info('goodbye')"
    )
    root = Path(__file__).resolve().parents[3]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, check=True, capture_output=True, text=True, timeout=30
    )
    assert '"event":"goodbye"' in done.stderr


@pytest.mark.parametrize(
    "text", ["x" * 16_370 + " redis://:hunter2@host", "x" * 16_360 + "redis://user:hunter2hunter2@host"]
)
def test_long_text_is_cut_before_it_is_scrubbed_and_shows_no_half_of_a_secret(text: str) -> None:
    cut = scrub(text)
    assert "hunter2" not in cut
    assert cut.endswith("more characters]")
    assert len(scrub("password=hunter2 " * 100_000)) < 20_000


class Clock:
    """Moved by the test."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_flood_is_counted_and_one_line_says_how_often_it_came() -> None:
    clock = Clock()
    reported: list[tuple[str, int]] = []
    repeats = Repeats(lambda key, count: reported.append((key.event, count)), clock=clock)
    repeats.begin(3)
    flood, other = Key("warning", "x", "live_publish_failed"), Key("warning", "x", "start_waits")
    assert [repeats.admits(flood) for _ in range(5)] == [True, True, True, False, False]
    assert repeats.admits(other), "only the same line is a repeat"
    clock.now += WINDOW_SECONDS
    assert repeats.admits(flood)
    assert reported == [("live_publish_failed", 2)]
    repeats.flush()
    assert len(reported) == 1, "nothing was suppressed since"
    assert [repeats.admits(flood) for _ in range(4)] == [True, True, True, False]
    repeats.flush()
    assert reported[1:] == [("live_publish_failed", 1)]


def test_what_was_suppressed_is_said_although_nothing_like_it_comes_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.kit.logging.repeats.WINDOW_SECONDS", 1.0)
    reported: list[int] = []
    repeats = Repeats(lambda _key, count: reported.append(count))
    repeats.begin(1)
    admitted = [repeats.admits(Key("warning", "x", "late")) for _ in range(100)]
    assert not all(admitted)
    wait_until(lambda: sum(reported) == admitted.count(False), timeout_seconds=30, what="the summary")


def test_keys_that_never_come_again_do_not_fill_the_memory() -> None:
    repeats = Repeats(lambda _key, _count: None)
    repeats.begin(1)
    for number in range(5_000):
        assert repeats.admits(Key("warning", "x", f"event_{number}"))
    assert len(repeats._windows) <= 1_000


def test_what_is_the_same_line(capsys: pytest.CaptureFixture[str]) -> None:
    configured(log_repeats_per_minute=1)
    log = get_logger("x")
    jobs = [new_id() for _ in range(3)]
    for number, job in enumerate(jobs):
        with bound_log_context(job_id=job):
            # An outage in three jobs is one outage; a job that crashes has a line of its own.
            log.warning("publish_failed", error="ConnectionError", number=number)
            log.error("job_crashed", error="ValueError")
            log.info("job_ended")
    log.warning("publish_failed", error="TimeoutError")
    for number in range(3):
        logging.getLogger("y").warning("task %s is late", number)
    shutdown_logging()
    found = lines(capsys)
    written = [(each["event"], each.get("error")) for each in found if "repeated" not in each]
    assert written.count(("publish_failed", "ConnectionError")) == 1
    assert written.count(("publish_failed", "TimeoutError")) == 1
    assert written.count(("job_crashed", "ValueError")) == 3
    assert written.count(("job_ended", None)) == 3
    assert written.count(("task 0 is late", None)) == 1
    summaries = {each["event"]: each for each in found if "repeated" in each}
    outage = {"repeated": 2, "error": "ConnectionError", "level": "warning"}
    assert summaries["publish_failed"].items() >= outage.items()
    assert summaries["task %s is late"].items() >= {"repeated": 2, "logger": "y", "seconds": 60}.items()
    assert len(summaries) == 2


def test_lines_are_exported_as_they_are_written(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        configured(log_repeats_per_minute=1)
        try:
            job = new_id()
            with span("work"), bound_log_context(job_id=job):
                get_logger("x").info("ran", password="hunter2", url="redis://:hunter2@h", number=2**70, odd="\ud800")
                get_logger("x").error("failed", exc_info=ValueError("input_value='hunter2'"))
            for _ in range(3):
                get_logger("x").warning("again", error="Timeout")
            shutdown_logging()
        finally:
            monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT")
            configured()
    written = [line for line in lines(capsys) if line["event"] in {"ran", "failed", "again"}]
    sent = collector.log_records
    assert [(record.body.string_value, record.severity_text) for record in sent] == [
        ("ran", "INFO"),
        ("failed", "ERROR"),
        ("again", "WARNING"),
        ("again", "WARNING"),
    ]
    ran = attributes_of(sent[0])
    assert ran["job_id"] == encode(JOB, job) == written[0]["job_id"]
    assert (ran["password"], ran["number"], ran["schema"]) == ("***", str(2**70), SCHEMA)
    assert sent[0].trace_id.hex() == written[0]["trace_id"]
    assert sent[0].span_id.hex() == written[0]["span_id"]
    assert attributes_of(sent[3])["repeated"] == 2
    assert "hunter2" not in collector.text
    assert "waybill-test" in collector.text


def test_an_unavailable_collector_costs_nothing_but_its_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def dropped() -> float:
        return REGISTRY.get_sample_value("waybill_log_export_dropped_total") or 0.0

    # Nothing listens there, and nothing waits for it.
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://127.0.0.1:9/v1/logs")
    before = dropped()
    configured()
    export = LogExport("test", "test")
    export._thread = threading.current_thread()  # no thread takes anything from the queue
    for number in range(QUEUE_MAX + 10):
        export.put({"event": "line", "level": "info", "logger": "x", "number": number})
    assert dropped() == before + 10
    assert export._send() is False
    assert dropped() > before + 10
    export.put({"event": "about itself", "level": "error", "logger": "opentelemetry.exporter"})
    assert all(event["event"] == "line" for _, event in export._queue)
    [said] = [line for line in lines(capsys) if "export" in line["event"]]
    assert (said["event"], said["level"]) == ("logs_not_exported", "warning")
    assert said["count"] > 0
    assert "logs batch" in said["reason"]


def test_exporting_can_be_turned_off_beside_traces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    assert is_wanted()
    monkeypatch.setenv("OTEL_LOGS_EXPORTER", "none")
    assert not is_wanted()
