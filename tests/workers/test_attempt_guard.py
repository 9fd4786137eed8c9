"""What the guard does around an attempt: it looks at the input, and lets clients see what the policy lets them see."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import UUID

import pytest
from prometheus_client import REGISTRY

from core.audit.actions import AuditAction
from core.capability import ChildOutcome, JobSuspended
from core.gateway.embeddings.minilm import load_minilm
from core.guard.guard import Guard
from core.guard.policies import PolicyCache
from core.guard.policy import Example, GuardPolicy
from core.guard.pseudonyms import PseudonymKeys
from core.jobs import queue
from core.jobs.live import FIELD, decode_event, stream_key
from core.jobs.records import JobRecord
from core.jobs.states import JobState, Reason
from core.kit.data_classes import DataClass
from core.kit.db import Database
from core.kit.ids import JOB, encode
from core.kit.money import ZERO
from core.kit.settings import Settings
from pipelines.models.chat import Chat
from pipelines.registry import manifests
from tests.factories.attempts import Attempt, worker_services
from tests.factories.calls import simulated
from tests.factories.guarded import ANNA, BEN, BLOCKING, CORPUS, TO_CLIENT, TO_MODEL, guard_of, leaks
from tests.factories.jobs import Tenant
from tests.factories.listed_analyzer import ListedAnalyzer
from tests.factories.processes import ROOT
from tests.factories.provider_simulator import Answer, LateScript, ProviderSimulator, Recorded, Script
from tests.factories.tenancy import audit_trail, watch_single_statements
from workers.execute import execute
from workers.runtime import Runtime

CHAT = "models.chat"
ALL = GuardPolicy(rules=(*TO_MODEL.rules, *TO_CLIENT.rules))
LETTER = f"Dear {ANNA}, call {BEN} at {CORPUS[3]} or write to {CORPUS[2]}. " * 20


class Host:
    """A worker process's runtime with a guard, whose chats a simulator answers."""

    def __init__(self, runtime: Runtime, tenant: Tenant) -> None:
        self._runtime = runtime
        self._tenant = tenant

    @property
    def database(self) -> Database:
        """Its connections."""
        return self._runtime.database

    def chat(self, *said: str) -> UUID:
        """A job that asks for an answer to a message."""
        messages = [{"role": "user", "content": each} for each in said]
        return self._tenant.submit_input(CHAT, {"model": "default", "messages": messages})

    def attempt(self, job_id: UUID) -> JobRecord:
        """Carry out one attempt, and return the job after it."""
        with self._runtime.database.system() as session:
            queue.mark_dispatched(session, [job_id])
        execute(self._runtime, job_id)
        return self._tenant.job(job_id)

    def shown(self, job_id: UUID) -> str:
        """All text that was streamed to the client."""
        entries: Any = self._runtime.redis.xrange(stream_key(self._runtime.settings, job_id))
        events = [decode_event(entry[FIELD]) for _, entry in entries]
        return "".join(event.data["text"] for event in events if event.type == "message.delta")


@contextmanager
def host(settings: Settings, tenant: Tenant, guard: Guard, server: ProviderSimulator) -> Iterator[Host]:
    runtime = Runtime(settings, guard, pool_size=4)
    with simulated(settings, main=server, guard=guard) as (gateway, _):
        runtime._runners[CHAT, manifests()[CHAT].graph_version] = Chat(gateway)
        try:
            yield Host(runtime, tenant)
        finally:
            runtime._heartbeat.stop()
            runtime.services.settlements.close()
            runtime.database.close()


def parrot(recorded: Recorded) -> Script:
    """Says what it was told, seven characters a delta."""
    said = recorded.body["messages"][-1]["content"]
    return Answer(*(said[at : at + 7] for at in range(0, len(said), 7)))


def counted(kind: str, action: str) -> float:
    return REGISTRY.get_sample_value("waybill_guard_findings_total", {"kind": kind, "action": action}) or 0.0


@pytest.mark.survive("P9", "S3")
def test_the_provider_reads_tokens_and_the_client_names(settings: Settings, tenant: Tenant) -> None:
    before = counted("person", "redact")
    verdict = {"direction": "to_model", "source": "input", "verdict": "redacted"}
    redacted = REGISTRY.get_sample_value("waybill_guard_verdicts_total", verdict) or 0.0
    guard = guard_of(settings, TO_MODEL)
    with ProviderSimulator(parrot) as server, host(settings, tenant, guard, server) as worker:
        job_id = worker.chat(LETTER)
        job = worker.attempt(job_id)
        assert job.state is JobState.SUCCEEDED, job.error
        assert worker.shown(job_id) == LETTER
        assert leaks([request.body for request in server.requests]) == []
    assert (tenant.result(job_id) or {})["text"] == LETTER
    events = tenant.events(job_id)
    [found] = [event.data for event in events if event.type == "guard.findings"]
    counts = {"person": {"redact": 40}, "phone": {"redact": 20}, "email": {"redact": 20}}
    assert found == {"source": "input", "findings": counts, "incomplete": False}
    [audited] = [row for row in audit_trail(settings, job.organization_id) if row["action"] == AuditAction.GUARD_FIND]
    assert (audited["subject_id"], audited["detail"]["findings"]) == (encode(JOB, job_id), counts)
    assert counted("person", "redact") == before + 80, "of the input, and of the request"
    assert REGISTRY.get_sample_value("waybill_guard_verdicts_total", verdict) == redacted + 2


@pytest.mark.survive("P9", "S3")
def test_what_a_client_may_not_see_is_in_neither_stream_nor_result(settings: Settings, tenant: Tenant) -> None:
    guard = guard_of(settings, ALL)
    with ProviderSimulator(parrot) as server, host(settings, tenant, guard, server) as worker:
        job_id = worker.chat(LETTER)
        assert worker.attempt(job_id).state is JobState.SUCCEEDED
        shown = worker.shown(job_id)
    assert shown == "Dear <PERSON_1>, call <PERSON_2> at <PHONE_1> or write to <EMAIL>. " * 20
    assert (tenant.result(job_id) or {})["text"] == shown
    assert leaks([dict(event.data) for event in tenant.events(job_id)]) == []


def test_a_blocked_input_ends_the_job_before_anything_is_asked(settings: Settings, tenant: Tenant) -> None:
    guard = guard_of(settings, BLOCKING)
    with ProviderSimulator(Answer("Fine.")) as server, host(settings, tenant, guard, server) as worker:
        job_id = worker.chat(f"{ANNA}: {CORPUS[3]}")
        job = worker.attempt(job_id)
        assert len(server.requests) == 0
    assert (job.state, job.reason, job.failures) == (JobState.FAILED, "guard_blocked", 1)
    assert leaks(job.error) == []
    [found] = [event.data for event in tenant.events(job_id) if event.type == "guard.findings"]
    assert found["findings"] == {"person": {"detect": 1}, "phone": {"block": 1}}


@pytest.mark.survive("P9", "S3")
@pytest.mark.parametrize("calls", [0, 2, 5])
def test_an_analyzer_that_dies_in_mid_stream_leaks_nothing_and_the_job_resumes(
    settings: Settings, tenant: Tenant, calls: int
) -> None:
    analyzer = ListedAnalyzer(ANNA, BEN, dies_after=calls)
    script: LateScript = parrot
    guard = guard_of(settings, ALL, analyzer)
    with ProviderSimulator(script) as server, host(settings, tenant, guard, server) as worker:
        job_id = worker.chat(LETTER)
        job = worker.attempt(job_id)
        assert (job.state, job.reason, job.failures) == (JobState.QUEUED, Reason.DEPENDENCY_UNAVAILABLE, 0)
        assert (job.error or {})["dependency"] == "guard analyzer"
        assert bool(worker.shown(job_id)) is (calls > 2)
        assert leaks(worker.shown(job_id)) == leaks([request.body for request in server.requests]) == []
        analyzer.revive()
        resumed = worker.attempt(job_id)
        assert (resumed.state, resumed.attempts_spent, resumed.failures) == (JobState.SUCCEEDED, 1, 0)
        assert leaks(worker.shown(job_id)) == []


def test_a_worker_without_the_key_fails_what_pseudonymizes_and_sends_nothing(
    settings: Settings, tenant: Tenant
) -> None:
    guard = guard_of(settings.model_copy(update={"pseudonym_key": None}), TO_MODEL)
    with ProviderSimulator(parrot) as server, host(settings, tenant, guard, server) as worker:
        assert worker.attempt(worker.chat("nobody's name")).state is JobState.SUCCEEDED
        job = worker.attempt(worker.chat(LETTER))
        assert len(server.requests) == 1
    assert (job.state, job.reason) == (JobState.FAILED, "guard_key_missing")
    assert "WAYBILL_PSEUDONYM_KEY" in (job.error or {})["message"]


BY_EXAMPLE = GuardPolicy(
    examples=(Example(text="Her doctor says that she will be ill until May.", data_class=DataClass.CONFIDENTIAL),)
)


def test_an_input_that_is_like_an_example_raises_the_class_and_is_no_finding(
    settings: Settings, tenant: Tenant
) -> None:
    guard = guard_of(settings, BY_EXAMPLE, embed=load_minilm().embed)
    with ProviderSimulator(parrot) as server, host(settings, tenant, guard, server) as worker:
        ill, well = (worker.chat(text) for text in ("The doctor says she stays ill until June.", "The van is in May."))
        assert {worker.attempt(each).state for each in (ill, well)} == {JobState.SUCCEEDED}
    assert [tenant.job(each).data_class for each in (ill, well)] == ["confidential", "internal"]
    types = [event.type for event in tenant.events(ill)]
    [raised] = [event.data for event in tenant.events(ill) if event.type == "job.classified"]
    assert (raised["data_class"], raised["because"]) == ("confidential", "guard")
    assert "guard.findings" not in types
    assert (tenant.result(ill) or {})["text"] == "The doctor says she stays ill until June."


def test_an_input_is_compared_before_anything_is_done_with_it(settings: Settings, tenant: Tenant) -> None:
    guard = guard_of(settings, BY_EXAMPLE, embed=load_minilm().embed)
    with worker_services(settings) as services:
        ctx = Attempt(replace(services, guard=guard), tenant.submit()).context
        ctx.guard.screen_input({"notes": ["The van is in May."]})
        assert ctx.data_class == "internal"
        ctx.guard.screen_input({"notes": ["The van is in May.", "The doctor says she stays ill until June."]})
        assert ctx.data_class == "confidential"


def test_the_guard_of_workers_loads_the_model_for_a_policy_with_examples() -> None:
    code = (
        "import sys; from core.guard.policy import CombinedPolicy as C, GuardPolicy as P\n"
        "from pipelines._kit.resources import get_guard\n"
        "classes = get_guard().examples\n"
        "said = [classes.highest(C([P()]), ['ill until May']), 'onnxruntime' in sys.modules]\n"
        "policy = C([P(examples=({'text': 'ill until May', 'data_class': 'restricted'},))])\n"
        "print(*said, classes.highest(policy, ['ill until June']), 'onnxruntime' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["None", "False", "restricted", "True"], done.stderr


def test_a_worker_without_a_model_fails_what_has_to_be_compared_and_sends_nothing(
    settings: Settings, tenant: Tenant
) -> None:
    with ProviderSimulator(parrot) as server, host(settings, tenant, guard_of(settings, BY_EXAMPLE), server) as worker:
        job = worker.attempt(worker.chat("Hello"))
        assert len(server.requests) == 0
    assert (job.state, job.reason) == (JobState.FAILED, "guard_model_missing")


def test_where_no_policy_wants_anything_a_job_costs_a_remembered_query(
    settings: Settings, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    analyzer, keyless = ListedAnalyzer(ANNA, BEN), settings.model_copy(update={"pseudonym_key": None})
    guard = Guard(PolicyCache(settings), analyzer, PseudonymKeys(keyless))
    with ProviderSimulator(parrot) as server, host(settings, tenant, guard, server) as worker:
        job_ids = [worker.chat(LETTER) for _ in range(3)]
        began = monotonic()
        asked = watch_single_statements(worker.database, monkeypatch, "guard_")
        assert {worker.attempt(each).state for each in job_ids} == {JobState.SUCCEEDED}
        # What is in steady use is asked for again from 0.8 s on.
        assert 1 <= len(asked) <= 1 + (monotonic() - began) / 0.8
    assert {each for each in asked if "FROM guard_policies" not in each} == set()
    assert analyzer.calls == []


def test_events_questions_and_files_are_redacted_for_clients(
    settings: Settings, tenant: Tenant, tmp_path: Path
) -> None:
    job_id = tenant.submit()
    file = tmp_path / "letter.txt"
    file.write_text(LETTER, encoding="utf-8")
    with worker_services(settings) as services:
        ctx = Attempt(replace(services, guard=guard_of(settings, ALL)), job_id).context
        ctx.emit("letter.found", {"to": [ANNA], BEN: 12345678, "pages": 2})
        ctx.progress(1, 2, f"read the letter to {ANNA}")
        for name, content in (("a.txt", file), ("b.json", LETTER.encode())):
            ctx.artifact(name, content, "text/plain" if name == "a.txt" else "application/json")
        ctx.artifact("c.bin", LETTER.encode(), "application/octet-stream")
        with pytest.raises(JobSuspended):
            ctx.ask("send", f"Send it to {ANNA}?", {"type": "object"}, details={"mail": CORPUS[2]})
        stored = [services.blobs.get(key) for key in services.blobs.list(f"jobs/{job_id}/")]
    events = tenant.events(job_id)
    assert leaks([dict(event.data) for event in events]) == []
    [found] = [event.data for event in events if event.type == "letter.found"]
    assert found == {"to": ["<PERSON_1>"], "<PERSON_2>": 12345678, "pages": 2}
    assert sorted(bool(leaks(body.decode())) for body in stored) == [False, False, True]


def test_a_parent_reads_real_values_in_results_that_clients_see_redacted(settings: Settings, tenant: Tenant) -> None:
    root = tenant.submit()
    child = tenant.submit(parent_id=root, root_id=root)
    guard = guard_of(settings, ALL)
    with worker_services(settings) as services:
        guarded = replace(services, guard=guard)
        result = {"who": ANNA, "typed": "<PERSON_1>", "n": 3}
        shown = Attempt(guarded, child).context.guard.value(result)
        assert shown == {"who": "<PERSON_1>", "typed": "<LITERAL_1>", "n": 3}
        outcome = ChildOutcome("c", child, "succeeded", shown, None, ZERO)
        [read] = Attempt(guarded, root).context.guard.outcomes([outcome])
    assert read.result == result


def test_a_crash_is_logged_without_what_clients_may_not_see(settings: Settings, tenant: Tenant) -> None:
    crash = RuntimeError(f"no such person: {ANNA}")
    crash.__cause__ = KeyError(CORPUS[2])
    analyzer = ListedAnalyzer(ANNA, BEN)
    with worker_services(settings.model_copy(update={"log_exception_text": True})) as services:

        def logged(guard: Guard | None, *, wants_text: bool = True) -> str:
            given = services.settings.model_copy(update={"log_exception_text": wants_text})
            of_guard = replace(services, guard=guard, settings=given)
            return Attempt(of_guard, tenant.submit()).context.guard.traceback(crash)

        for guard in (None, guard_of(settings, ALL, analyzer)):
            assert leaks(logged(guard, wants_text=False)) == []
            assert "KeyError: [withheld]\n\nRuntimeError: [withheld]\n" in logged(guard, wants_text=False)
        assert leaks(logged(None)) == [ANNA, CORPUS[2]], "the operator wants it, and there is no guard"
        assert "RuntimeError: no such person: <PERSON>" in logged(guard_of(settings, ALL, analyzer))
        assert leaks(logged(guard_of(settings, ALL, analyzer))) == []
        analyzer.kill()
        for guard in (guard_of(settings, ALL, analyzer), guard_of(settings, BLOCKING, analyzer)):
            assert "RuntimeError: [withheld]" in logged(guard)
            assert leaks(logged(guard)) == []
