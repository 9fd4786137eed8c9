"""One tree a job: from the request over attempts, steps and children to the webhook, in a collector of OTLP."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread
from uuid import UUID

import pytest
from sqlalchemy import text

from core.capability import LeaseLost
from core.guard.guard import open_guard
from core.jobs import leases, queue
from core.jobs.records import Event as JobEvent
from core.jobs.records import JobRecord
from core.jobs.traces import write_dispatched, write_swept
from core.kit import telemetry
from core.kit.ids import JOB, ORGANIZATION, PROJECT, decode, encode
from core.kit.settings import Settings
from core.webhooks.delivery import Deliverer
from pipelines.registry import version_of
from tests.factories.api import principal_of, probe_capabilities, running_api
from tests.factories.jobs import Tenant, tenant_of
from tests.factories.trace_collector import Collector, attributes_of, collecting
from tests.factories.trace_reference import check_spans
from tests.factories.trace_tree import Tree
from tests.factories.waiting import wait_until
from tests.factories.webhook_receiver import WebhookReceiver
from tests.factories.webhooks import LOOPBACK
from workers.context import AttemptContext
from workers.execute import execute
from workers.runtime import Runtime

pytestmark = pytest.mark.own_database
SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
SECRET = "hunter2 of Mrs Peeters"


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[Collector]:
    with collecting() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        telemetry.configure_tracing(settings, "test")
        yield server
        telemetry.shutdown_tracing()


@pytest.fixture(autouse=True)
def _probes() -> Iterator[None]:
    with probe_capabilities():
        yield


@contextmanager
def worker(settings: Settings) -> Iterator[Runtime]:
    runtime = Runtime(settings, open_guard(settings), pool_size=6)
    try:
        yield runtime
    finally:
        runtime._heartbeat.stop()
        for thread in runtime._heartbeat._threads:
            thread.join()
        runtime.services.settlements.close()
        runtime.redis.close()
        runtime.database.close()


def run(runtime: Runtime, tenant: Tenant, *job_ids: UUID) -> None:
    """Dispatch and execute, as the dispatcher and a worker would."""
    with tenant.database.system() as session:
        marked = queue.mark(session, job_ids)
    assert {job.id for job in marked} == set(job_ids)
    write_dispatched(marked)
    for job_id in job_ids:
        execute(runtime, job_id)


def due(tenant: Tenant) -> list[UUID]:
    with tenant.database.tenant(tenant.principal.organization_id) as session:
        found = session.execute(text("SELECT id FROM jobs WHERE state = 'queued' AND dispatched_at IS NULL"))
        return list(found.scalars())


def run_all(runtime: Runtime, tenant: Tenant) -> None:
    while found := due(tenant):
        run(runtime, tenant, *found)


def run_everything(settings: Settings, receiver: WebhookReceiver) -> JobRecord:
    """A job with three children, of which one fails once; its webhook; and what somebody thinks of its result."""
    children = [
        {"act": "stream", "chunks": 2, "note": SECRET},
        {"act": "fail", "until_attempt": 1, "note": SECRET},
        {"act": "spend", "used_tokens": 40},
    ]
    with running_api(settings) as api, api.client() as client, worker(settings) as runtime:
        tenant = tenant_of(settings, principal_of(api.key))
        client.post("/v1/webhook-secret/rotate").raise_for_status()
        client.get("/healthz").raise_for_status()
        body = {
            "capability": "probe.fan",
            "input": {"children": children},
            "metadata": {"conversation_id": "conv-7"},
            "webhook": {"url": receiver.url, "events": ["job.succeeded"]},
        }
        # Whoever says that it works for another tenant is not believed.
        answer = client.post("/v1/jobs", json=body, headers={"baggage": "waybill.organization.id=org_other"})
        assert answer.status_code == 202, answer.text
        job_id = decode(JOB, answer.json()["id"])
        run_all(runtime, tenant)
        client.post(f"/v1/jobs/{encode(JOB, job_id)}/feedback", json={"score": 0.5}).raise_for_status()
        deliverer = Deliverer(settings, tenant.database)
        wait_until(lambda: deliverer.take() == 0 and not deliverer.under_way, timeout_seconds=30, what="delivery")
        deliverer.close()
        job = tenant.job(job_id)
        tenant.close()
    return job


def test_a_job_is_one_tree_from_the_request_to_the_webhook(settings: Settings, collector: Collector) -> None:
    with WebhookReceiver() as receiver:
        stored = run_everything(settings.model_copy(update=LOOPBACK), receiver)
    telemetry.shutdown_tracing()
    tree = Tree(span for span in collector.spans if span.trace_id == trace_of(stored))
    assert tree.orphans == []
    assert [span.name for span in tree.roots] == ["POST /v1/jobs"]
    assert tree.roots[0].kind == SERVER

    job = tree.one("invoke_agent probe.fan")
    assert tree.path(job) == ["POST /v1/jobs", "invoke_agent probe.fan"]
    said = attributes_of(job)
    assert (said["gen_ai.agent.name"], said["gen_ai.agent.version"]) == ("probe.fan", "1")
    assert said["gen_ai.conversation.id"] == "conv-7"
    assert (said["waybill.job.state"], said["waybill.job.attempts"]) == ("succeeded", 2)
    assert said["waybill.cost.usd"] == float(stored.cost_usd)
    own = {"waybill__capability": "probe.fan"}
    first, second = tree.one("attempt 1", **own), tree.one("attempt 2", **own)
    assert {first.kind, second.kind} == {CONSUMER}
    assert {first.parent_span_id, second.parent_span_id} == {job.span_id}
    assert sorted(tree.linked(second)) == ["attempt 1", "invoke_agent other.act"]
    assert len(second.links) == 1 + len(tree.named("invoke_agent other.act")) == 4
    below = [tree.path(each) for each in tree.named("invoke_agent other.act")]
    assert below == [["POST /v1/jobs", job.name, "attempt 1", "invoke_agent other.act"]] * 3
    assert tree.path(tree.one("step speak"))[-2:] == ["attempt 1", "step speak"]
    check_retry(tree)

    sent = tree.one("webhook POST")
    assert (sent.kind, sent.parent_span_id) == (CLIENT, job.span_id)
    headers = receiver.received[0].headers
    assert headers["traceparent"].split("-")[1:3] == [sent.trace_id.hex(), sent.span_id.hex()]
    assert "baggage" not in headers
    dispatched = [*tree.named("dispatch probe"), *tree.named("dispatch other")]
    assert (len(dispatched), {each.kind for each in dispatched}) == (6, {PRODUCER})
    rating = tree.one("feedback")
    assert (rating.parent_span_id, rating.events[0].name) == (job.span_id, "gen_ai.evaluation.result")

    check_spans(tree.spans.values())
    whose = {
        "waybill.organization.id": encode(ORGANIZATION, stored.organization_id),
        "waybill.project.id": encode(PROJECT, stored.project_id),
    }
    for span in tree.spans.values():
        shown = attributes_of(span)
        assert whose.items() <= shown.items(), span.name
        assert str(shown["waybill.job.id"]).startswith("job_"), span.name
    assert "GET /healthz" not in names_of(collector)
    assert SECRET not in collector.text
    assert "org_other" not in collector.text


def trace_of(job: JobRecord) -> bytes:
    assert job.traceparent is not None
    return bytes.fromhex(job.traceparent.split("-")[1])


def check_retry(tree: Tree) -> None:
    """The attempts of the child that failed once stand side by side, and the second points at the first."""
    child = tree.one("invoke_agent other.act", waybill__job__attempts=2)
    whose = {"waybill__job__id": attributes_of(child)["waybill.job.id"]}
    failed, again = tree.one("attempt 1", **whose), tree.one("attempt 2", **whose)
    assert {failed.parent_span_id, again.parent_span_id} == {child.span_id}
    assert attributes_of(failed)["error.type"] == "asked_to_fail"
    assert [link.span_id for link in again.links] == [failed.span_id]


def test_what_a_lost_worker_could_not_write_is_written_by_the_process_that_finds_it_lost(
    settings: Settings, collector: Collector, tenant: Tenant
) -> None:
    job_id = tenant.submit("noop", traceparent=PARENT)
    goes_on = Event()

    def work(runtime: Runtime) -> None:
        """Stands still in the middle, as a process does that is stopped or killed."""
        with tenant.database.system() as session:
            queue.mark_dispatched(session, [job_id])
        claim = leases.claim(tenant.database.single_system(), job_id, "lost", 0.01)
        assert claim is not None
        attempt = AttemptContext(claim, runtime.services)
        with suppress(LeaseLost), attempt.trace.running():
            with attempt.step("read"):
                pass
            with attempt.step("write"):
                with telemetry.span("chat sent"):
                    pass
                with telemetry.span("invoke_agent writer"):
                    with telemetry.span("chat of an agent"):
                        pass
                    goes_on.wait()

    with worker(settings) as runtime:
        thread = Thread(target=work, args=(runtime,))
        thread.start()
        sent = {"chat sent", "step read"}
        wait_until(lambda: sent <= names_of(collector), timeout_seconds=30, what="the first spans")
        events: list[JobEvent] = []

        def recovered() -> bool:
            with tenant.database.system() as session:
                events.extend(queue.sweep(session, "probe"))
            return bool(events)

        wait_until(recovered, timeout_seconds=30, what="the lease to end")
        write_swept(tenant.database.single_system(), events, version_of)
        with tenant.database.system() as session:
            queue.mark_dispatched(session, [job_id])
        execute(runtime, job_id, isolated=True)
        wait_until(lambda: "invoke_agent probe.act" in names_of(collector), timeout_seconds=30, what="the job's span")
        # Were the process killed here, what its agent did would be missing, and nothing would stand in the air.
        check_recovered(Tree(collector.spans))
        assert not {"chat of an agent", "invoke_agent writer"} & names_of(collector)
        goes_on.set()
        thread.join()
    telemetry.shutdown_tracing()
    tree = Tree(collector.spans)
    check_recovered(tree)
    check_spans(span for span in tree.spans.values() if span.name.startswith(("attempt", "step", "invoke_agent probe")))
    assert tree.path(tree.one("chat of an agent"))[2:] == ["step write", "invoke_agent writer", "chat of an agent"]
    written = [span.name for span in collector.spans]
    assert (written.count("attempt 1"), written.count("step write")) == (1, 1), "who lost the lease writes neither"


def names_of(collector: Collector) -> set[str]:
    return {span.name for span in collector.spans}


def check_recovered(tree: Tree) -> None:
    """The lost attempt stands beside the next one, with all that it had sent below it."""
    assert tree.trace_ids == {PARENT.split("-")[1]}
    job = tree.one("invoke_agent probe.act")
    assert tree.orphans == [job.name], "whoever submitted it is not in this test"
    lost, again = tree.one("attempt 1"), tree.one("attempt 2")
    assert {lost.parent_span_id, again.parent_span_id} == {job.span_id}
    said = attributes_of(lost)
    assert (said["error.type"], said["waybill.rebuilt"]) == ("worker_lost", True)
    assert lost.start_time_unix_nano < lost.end_time_unix_nano <= again.start_time_unix_nano
    assert tree.path(tree.one("chat sent")) == [job.name, "attempt 1", "step write", "chat sent"]
    assert attributes_of(tree.one("step write"))["waybill.rebuilt"] is True
    assert tree.path(tree.one("step read")) == [job.name, "attempt 1", "step read"]
