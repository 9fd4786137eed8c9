"""Services of a company's own as capabilities: the file, the calls, and what goes wrong on the way."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.baggage import get_all
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from pydantic import ValidationError

from api.jobs.schemas import to_wire
from core.capability import JobCancelled, Manifest
from core.gateway.resilience.backoff import Backoff
from core.jobs.states import Reason
from core.kit.errors import CapabilityFailure, Outage, Unavailable
from core.kit.ids import JOB, ORGANIZATION, PROJECT, encode, new_id
from core.kit.job_traces import TraceScope, traced_for
from core.kit.settings import Settings
from core.kit.telemetry import current_trace_id, span
from pipelines.remote.manifests import Remote, read_remote
from pipelines.remote.runner import RemoteRunner
from tests.factories.context import RecordingContext
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.processes import ROOT, dispatcher, worker
from tests.factories.waiting import wait_until

SAMPLE = ROOT / "samples" / "remote_service"
# The sample is a file to be run, no package.
_SPEC = spec_from_file_location("sample_service", SAMPLE / "service.py")
assert _SPEC is not None
assert _SPEC.loader is not None
_MODULE = module_from_spec(_SPEC)
_SPEC.loader.exec_module(_MODULE)
Service = _MODULE.Service

# Status, headers, body.
Answer = tuple[int, dict[str, str], bytes]

QUICK = Backoff(base_seconds=0.001, max_seconds=0.002)


def start_service(port: int = 0) -> Any:
    running = Service(port, "words-secret")
    threading.Thread(target=running.serve_forever, daemon=True).start()
    return running


def stop(running: Any) -> None:
    running.shutdown()
    running.server_close()


@pytest.fixture
def service() -> Iterator[Any]:
    running = start_service()
    yield running
    stop(running)


def copy_sample(folder: Path, port: int, **replaced: str) -> Path:
    for name in ("input.json", "output.json", "remote.toml"):
        text = (SAMPLE / name).read_text(encoding="utf-8").replace(":8099", f":{port}")
        for old, new in replaced.items():
            text = text.replace(old, new)
        (folder / name).write_text(text, encoding="utf-8")
    return folder / "remote.toml"


@pytest.fixture
def capabilities(
    service: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, tuple[Manifest, RemoteRunner]]:
    monkeypatch.setenv("WORDS_TOKEN", "words-secret")
    file = copy_sample(tmp_path, service.server_port)
    found = read_remote(Settings(remote_capabilities_file=file))
    return {manifest.id: (manifest, RemoteRunner(remote, QUICK)) for manifest, remote in found}


def call(capability: tuple[Manifest, RemoteRunner], given: dict[str, Any], ctx: RecordingContext | None = None) -> Any:
    manifest, runner = capability
    output = runner.run(ctx or RecordingContext(), manifest.input.model_validate(given))
    return manifest.output.model_validate(output.model_dump()).model_dump()


def test_a_service_answers_at_once_or_later(
    capabilities: dict[str, tuple[Manifest, RemoteRunner]], service: Any
) -> None:
    ctx = RecordingContext()
    assert call(capabilities["legacy.count_words"], {"text": "one three"}, ctx) == {"words": 2, "longest": "three"}
    ((_, sent),) = service.work.values()
    assert sent == {"text": "one three", "reference": encode(JOB, ctx.job_id)}
    # The next attempt of the job is the same piece of work.
    call(capabilities["legacy.count_words"], {"text": "one three"}, ctx.next_attempt())
    assert len(service.work) == 1
    later = RecordingContext()
    assert call(capabilities["legacy.count_later"], {"text": "a b c"}, later)["words"] == 3
    assert later.steps() == ["call", "wait"]


def test_the_schemas_are_published_and_obeyed(capabilities: dict[str, tuple[Manifest, RemoteRunner]]) -> None:
    manifest, _ = capabilities["legacy.count_words"]
    assert manifest.input.model_json_schema()["properties"]["text"]["maxLength"] == 100_000
    assert manifest.output.model_json_schema(mode="serialization")["required"] == ["words"]
    for wrong in ({}, {"text": ""}, {"text": 5}, {"text": "x", "more": 1}):
        with pytest.raises(ValidationError):
            manifest.input.model_validate(wrong)
    with pytest.raises(ValidationError, match="words"):
        manifest.output.model_validate({"words": -1})


@contextmanager
def answering(*answers: Answer, heads: list[dict[str, str]] | None = None) -> Iterator[tuple[str, list[str]]]:
    """A service that gives these answers one after the other, the last one for ever; and the keys it was sent.

    `heads` gets the headers of each request, by their names in lower case.
    """
    keys: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            keys.append(self.headers["Idempotency-Key"])
            if heads is not None:
                heads.append({name.lower(): value for name, value in self.headers.items()})
            status, headers, body = answers[min(len(keys), len(answers)) - 1]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST  # noqa: N815 - the base class's name

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/do", keys
    finally:
        server.shutdown()
        server.server_close()


def remote(url: str, **given: Any) -> RemoteRunner:
    plain = Remote(
        id="legacy.do",
        url=url,
        credential=None,
        secrets_dir=None,
        mode="answer",
        timeout_seconds=2,
        poll_seconds=0.05,
        max_tries=3,
        body=None,
        result=None,
    )
    return RemoteRunner(replace(plain, **given), QUICK)


def run(runner: RemoteRunner, ctx: RecordingContext | None = None) -> Any:
    from pipelines.remote.runner import Result

    return runner.run(ctx or RecordingContext(), Result.model_validate({"text": "secret"})).model_dump()


def test_a_service_continues_the_trace_and_learns_whose_work_it_is_where_the_operator_says_so() -> None:
    scope = TraceScope(new_id(), new_id(), "legacy.do", new_id())
    heads: list[dict[str, str]] = []
    for baggage in (False, True):
        with answering((200, {}, b'{"ok": 1}'), heads=heads) as (url, _), traced_for(scope), span("step call"):
            run(remote(url, baggage=baggage))
            trace_id = current_trace_id()
        assert heads[-1]["traceparent"].split("-")[1] == trace_id
    quiet, reported = heads
    assert "baggage" not in quiet
    # As any implementation of W3C baggage reads it.
    read = get_all(W3CBaggagePropagator().extract({"baggage": reported["baggage"]}))
    assert read == {
        "waybill.organization.id": encode(ORGANIZATION, scope.organization_id),
        "waybill.project.id": encode(PROJECT, scope.project_id or new_id()),
        "waybill.capability": "legacy.do",
    }


def test_what_passes_is_tried_again_under_one_identity() -> None:
    with answering((503, {}, b""), (429, {"Retry-After": "0"}, b""), (200, {}, b'{"ok": 1}')) as (url, keys):
        assert run(remote(url)) == {"ok": 1}
        assert len(keys) == 3
        assert len(set(keys)) == 1
    with answering((500, {}, b"secret")) as (url, keys), pytest.raises(CapabilityFailure) as failed:
        run(remote(url))
    assert (failed.value.code, failed.value.retryable, len(keys)) == ("remote_unavailable", True, 3)
    # It may be about the request.
    assert failed.value.outage is None
    with pytest.raises(CapabilityFailure) as failed:
        run(remote("http://127.0.0.1:9/do"))
    assert failed.value.code == "remote_unavailable"
    assert failed.value.outage == Outage("remote service legacy.do")
    with answering((503, {"Retry-After": "45"}, b"")) as (url, keys), pytest.raises(CapabilityFailure) as failed:
        run(remote(url))
    assert (failed.value.outage, len(keys)) == (Outage("remote service legacy.do", 45), 1)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ((400, {}, b'{"error": "secret"}'), "remote_refused"),
        ((302, {"Location": "http://127.0.0.1:1/elsewhere"}, b""), "remote_refused"),
        ((200, {}, b"<html>"), "remote_bad_answer"),
        ((200, {}, b"[1]"), "remote_bad_answer"),
        ((200, {}, b'{"n": NaN}'), "remote_bad_answer"),
        ((200, {}, b'{"n": 1e999}'), "remote_bad_answer"),
        ((200, {}, b'{"n": ' + b"[" * 900 + b"]" * 900 + b"}"), "remote_bad_answer"),
        ((200, {}, b'{"n": "\xff"}'), "remote_bad_answer"),
        ((200, {}, b" " * 3_000), "remote_bad_answer"),
        ((200, {}, b'{"n": ' + b"9" * 1900 + b"}"), "remote_bad_answer"),
        ((200, {"Content-Encoding": "gzip"}, b"{}"), "remote_bad_answer"),
        ((202, {"Location": "/later"}, b"{}"), "remote_not_answered"),
    ],
    ids=[
        "refused",
        "redirect",
        "html",
        "list",
        "nan",
        "infinite",
        "deep",
        "bytes",
        "endless",
        "number",
        "compressed",
        "accepted",
    ],
)
def test_what_does_not_pass_ends_the_job_and_says_nothing_of_the_input(
    answer: Answer, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.remote.runner._ANSWER_MAX_BYTES", 2_000)
    with answering(answer) as (url, keys), pytest.raises(CapabilityFailure) as failed:
        run(remote(url))
    assert (failed.value.code, failed.value.retryable, len(keys)) == (code, False, 1)
    assert "secret" not in failed.value.detail


@pytest.mark.survive("F2")
def test_what_a_service_answers_is_mended_and_kept_in_its_order() -> None:
    body = b'{"z": "a\\u0000b", "a": "bad \\ud83d half", "n": 6.02214076e23, "wide": 123456789012345678901234567890}'
    with answering((200, {}, body)) as (url, _):
        found = run(remote(url))
    assert list(found.items()) == [
        ("z", "ab"),
        ("a", "bad \ufffd half"),
        ("n", 6.02214076e23),
        ("wide", 123456789012345678901234567890),
    ]


def test_a_service_may_not_send_us_to_another_host_with_its_credential() -> None:
    with (
        answering((202, {"Location": "http://127.0.0.1:1/later"}, b"{}")) as (url, _),
        pytest.raises(CapabilityFailure, match="another host"),
    ):
        run(remote(url, mode="poll"))


def test_what_a_restarted_service_lost_is_sent_once_more_under_the_same_key() -> None:
    accepted: Answer = (202, {"Location": "/later"}, b"{}")
    gone: Answer = (404, {}, b"{}")
    done: Answer = (200, {}, b'{"ok": 1}')
    with answering(accepted, gone, accepted, done) as (url, keys):
        assert run(remote(url, mode="poll")) == {"ok": 1}
    # Polls carry it too.
    assert (len(keys), len(set(keys))) == (4, 1)
    with answering(accepted, gone, accepted, gone, done) as (url, keys), pytest.raises(CapabilityFailure) as failed:
        run(remote(url, mode="poll"))
    assert (failed.value.code, failed.value.retryable, len(keys)) == ("remote_unavailable", True, 4)


def test_a_cancelled_job_stops_waiting() -> None:
    ctx = RecordingContext()

    def cancel() -> None:
        if ctx.checks > 5:
            raise JobCancelled

    ctx.on_check = cancel
    with answering((202, {"Location": "/later"}, b"{}")) as (url, _), pytest.raises(JobCancelled):
        run(remote(url, mode="poll"), ctx)


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("allow_http = true", "allow_http = false", "allow_http"),
        ('credential = "WORDS_TOKEN"', 'credential = "sk-live/abc+="', "credential"),
        ('id = "legacy.count_words"', 'id = "Legacy"', "id"),
        ('input_schema = "input.json"', 'input_schema = "../../etc/passwd"', "schema"),
        ('"type": "object"', '"type": "array"', "object"),
        ('"type": "object"', '"type": "obj"', "JSON Schema"),
        ('"type": "object"', '"type": "object", "not": {"pattern": "(a)\\\\1"}', "RE2"),
        ('"type": "object"', '"type": "object", "patternProperties": {"(a+)+$": true}', "patternProperties"),
        ("timeout_seconds = 5", "timeout_seconds = 0", "timeout_seconds"),
        ("timeout_seconds = 5", "time_out = 5", "time_out"),
        ("input.text", "secrets.text", "body"),
    ],
)
def test_a_wrong_file_is_refused_and_the_field_named(tmp_path: Path, old: str, new: str, named: str) -> None:
    file = copy_sample(tmp_path, 1, **{old: new})
    with pytest.raises(Unavailable, match=named) as refused:
        read_remote(Settings(remote_capabilities_file=file))
    assert refused.value.code == "remote_capabilities_invalid"
    assert "abc+=" not in refused.value.detail


@pytest.mark.survive("F1")
@pytest.mark.timeout(120)
def test_jobs_outlive_a_restart_of_their_service_and_spend_one_attempt(
    settings: Settings, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    service = start_service()
    file = copy_sample(tmp_path, service.server_port)
    tenant: Tenant = new_tenant(settings)
    named = {"WAYBILL_REMOTE_CAPABILITIES_FILE": str(file)}
    with (
        worker(settings, "legacy", 2, WORDS_TOKEN="words-secret", **named),
        dispatcher(settings, **named),
    ):
        before = tenant.submit_input("legacy.count_later", {"text": "one two three"}, max_attempts=1)
        tenant.wait(before)
        stop(service)
        during = [
            tenant.submit_input(f"legacy.{name}", {"text": "one two three"}, max_attempts=1)
            for name in ("count_words", "count_later", "count_words", "count_later")
        ]
        wait_until(
            lambda: all(tenant.job(job_id).reason == Reason.DEPENDENCY_UNAVAILABLE for job_id in during),
            timeout_seconds=30,
            what="the jobs to be put back",
        )
        waiting = tenant.job(during[0])
        assert waiting.error is not None
        assert waiting.error["dependency"] == "remote service legacy.count_words"
        # The new process knows nothing of what the old one had accepted.
        service = start_service(service.server_port)
        ended = tenant.wait(*during)
    stop(service)
    assert [(job.state, to_wire(job)["attempt"], job.failures) for job in ended] == [("succeeded", 1, 0)] * 4
    assert [tenant.result(job_id) for job_id in during] == [{"words": 3, "longest": "three"}] * 4
    assert len(service.work) == 4
    assert [json.dumps(job.usage) for job in ended] == ["[]"] * 4
    record_property("figure", "4 jobs through the restart of their service, one attempt each")
    tenant.close()
