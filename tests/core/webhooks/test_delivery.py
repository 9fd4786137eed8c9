"""Deliveries from the transaction that ends a job to the receiver, on a real database with a clock that tests move."""

from datetime import timedelta
from itertools import pairwise

import orjson
import pytest
from sqlalchemy import text

from core.jobs import queue as jobs_queue
from core.jobs.retention import repository as retention
from core.jobs.states import SUSPEND, JobState, Reason
from core.kit import telemetry
from core.kit.ids import JOB, MESSAGE, encode
from core.webhooks import queue
from core.webhooks.errors import DeliveryPending, EndpointStateConflict
from core.webhooks.records import DeliveryState, EndpointState
from core.webhooks.schedule import DELAYS
from core.webhooks.sender import Outcome
from tests.factories.attempts import attempt
from tests.factories.trace_collector import attributes_of, collecting
from tests.factories.webhook_receiver import OK, Received, Reply, Script, Silence, WebhookReceiver
from tests.factories.webhooks import Hooks, has_signature_of, verify

pytestmark = pytest.mark.own_database

WEEK = timedelta(days=7)


def gaps(hooks: Hooks, delivery_id: object) -> list[timedelta]:
    """The time from each attempt to the next, to the second below."""
    began = [each.began_at for each in hooks.act("delivery", delivery_id).attempts]
    return [timedelta(seconds=int((after - before).total_seconds())) for before, after in pairwise(began)]


def at_capability(received: Received) -> bool:
    """False for a probe, which sorts first."""
    return b"customer_operations" in received.body


def run_schedule(hooks: Hooks, rounds: int = 12) -> None:
    """Let time pass from one due moment to the next."""
    for _ in range(rounds):
        hooks.round()
        pending = hooks.deliveries(state=DeliveryState.PENDING)
        if not pending:
            return
        with hooks.tenant.database.system() as session:
            wait = session.execute(
                text(
                    "SELECT extract(epoch FROM min(next_attempt_at) - now()) FROM webhook_deliveries WHERE id = ANY(:i)"
                ),
                {"i": [each.id for each in pending]},
            ).scalar_one()
        hooks.deliverer.offset_seconds = float(wait)


def test_a_message_carries_the_mark_of_what_was_generated(hooks: Hooks) -> None:
    with WebhookReceiver() as receiver:
        _, secret = hooks.add(receiver.url, include_result=True)
        hooks.finish_job()
        job_id = hooks.finish_job(capability="customer_operations.resolve")
        assert hooks.drain() == 2
        plain, marked = (verify(received, secret)["data"] for received in sorted(receiver.received, key=at_capability))
    assert "disclosure" not in plain
    assert marked["disclosure"] == hooks.tenant.job(job_id).disclosure
    assert (marked["disclosure"]["ai_generated"], marked["disclosure"]["job_id"]) == (True, encode(JOB, job_id))
    assert marked["result"] == {"answer": "42"}


def test_the_end_of_a_job_is_reported_with_a_valid_signature(hooks: Hooks) -> None:
    with WebhookReceiver() as receiver:
        endpoint, secret = hooks.add(receiver.url)
        job_id = hooks.finish_job(metadata={"ticket": "4711"})
        assert hooks.drain() == 1
        [received] = receiver.received
    reported = verify(received, secret)
    assert reported["type"] == "job.succeeded"
    assert reported["data"]["id"] == encode(JOB, job_id)
    assert reported["data"]["metadata"] == {"ticket": "4711"}
    assert reported["data"]["state"] == "succeeded"
    assert "result" not in reported["data"]
    assert reported["timestamp"].endswith("Z")
    [delivery] = hooks.deliveries()
    assert received.id == encode(MESSAGE, delivery.id)
    assert (delivery.state, delivery.last_status, delivery.endpoint_id) == (DeliveryState.DELIVERED, 200, endpoint.id)
    assert hooks.act("delivery", delivery.id).body == received.body
    assert received.headers["content-type"] == "application/json"


def test_every_end_and_every_wait_is_reported_once(hooks: Hooks) -> None:
    with WebhookReceiver() as receiver:
        hooks.add(receiver.url)
        hooks.finish_job()
        failing, cancelled = hooks.tenant.submit(), hooks.tenant.submit()
        expiring = hooks.tenant.submit(deadline_seconds=0.001)
        with attempt(hooks.settings, encode(JOB, failing)) as run:
            run.fail("it_broke")
        hooks.tenant.cancel(cancelled)
        with hooks.tenant.database.system() as session:
            jobs_queue.sweep(session, "probe")
        assert hooks.tenant.job(expiring).state is JobState.EXPIRED
        with attempt(hooks.settings, encode(JOB, hooks.tenant.submit())) as run:
            run.context.end(SUSPEND, "job.waiting", {"reason": Reason.INPUT}, reason=Reason.INPUT)
        hooks.drain()
        reported = sorted(orjson.loads(each.body)["type"] for each in receiver.received)
        assert reported == ["job.cancelled", "job.expired", "job.failed", "job.succeeded", "job.waiting"]


def test_an_endpoint_receives_what_it_asked_for_and_the_result_only_if_it_asked(hooks: Hooks) -> None:
    with WebhookReceiver() as receiver, WebhookReceiver() as other:
        hooks.add(receiver.url, "job.succeeded", include_result=True)
        hooks.add(other.url, "job.failed", "budget.threshold")
        hooks.finish_job()
        hooks.drain()
        assert orjson.loads(receiver.received[0].body)["data"]["result"] == {"answer": "42"}
        assert other.received == []


def test_a_result_is_sent_word_for_word(hooks: Hooks) -> None:
    with WebhookReceiver() as receiver:
        hooks.add(receiver.url, "job.succeeded", include_result=True)
        with attempt(hooks.settings, encode(JOB, hooks.tenant.submit())) as run:
            run.succeed(reasoning="so", answer=6.02214076e23, wide=2**80, Zulu={"z": 1.0, "a": None})
        hooks.drain()
        body = receiver.received[0].body
    assert b'"result": {"reasoning":"so","answer":6.02214076e+23,"wide":1208925819614629174706176,' in body
    assert b'"Zulu":{"z":1.0,"a":null}}' in body


def test_every_attempt_has_a_span_in_the_jobs_trace_without_the_path_of_its_url(
    hooks: Hooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    with collecting() as collector, WebhookReceiver(Reply(500), OK) as receiver:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        telemetry.configure_tracing(hooks.settings, "test")
        hooks.add(f"{receiver.url}?token=hunter2")
        hooks.finish_job(traceparent=parent)
        run_schedule(hooks)
        telemetry.shutdown_tracing()
    failed, delivered = [span for span in collector.spans if span.name == "webhook POST"]
    assert {failed.trace_id.hex(), delivered.trace_id.hex()} == {parent.split("-")[1]}
    assert attributes_of(failed)["error.type"] == "status_refused"
    assert attributes_of(failed)["http.response.status_code"] == 500
    reported = attributes_of(delivered)
    assert (reported["server.address"], reported["http.request.resend_count"]) == ("127.0.0.1", 1)
    assert "error.type" not in reported
    assert "hunter2" not in collector.text


def test_a_project_without_endpoints_writes_nothing(hooks: Hooks) -> None:
    hooks.finish_job()
    assert hooks.deliveries() == []


def test_a_rolled_back_end_notifies_no_one(hooks: Hooks) -> None:
    with WebhookReceiver() as receiver:
        hooks.add(receiver.url)
        job_id = hooks.tenant.submit()
        with hooks.tenant.database.system() as session:
            session.execute(
                text("UPDATE jobs SET state = 'cancelled', finished_at = now() WHERE id = :id"), {"id": job_id}
            )
            session.rollback()
        assert hooks.deliveries() == []


@pytest.mark.survive("S5")
def test_a_receiver_that_is_down_is_tried_as_the_schedule_says_with_the_same_bytes(hooks: Hooks) -> None:
    with WebhookReceiver(Reply(500)) as receiver:
        _, secret = hooks.add(receiver.url)
        hooks.finish_job()
        run_schedule(hooks)
        [delivery] = hooks.deliveries()
        assert (delivery.state, delivery.attempts) == (DeliveryState.FAILED, len(DELAYS))
        assert gaps(hooks, delivery.id) == list(DELAYS[1:])
        assert len({received.body for received in receiver.received}) == 1
        assert len({received.id for received in receiver.received}) == 1
        # Each attempt is signed for its own moment.
        assert len({received.headers["webhook-timestamp"] for received in receiver.received}) == len(DELAYS)
        assert all(has_signature_of(received, secret) for received in receiver.received)
        # A redelivery begins the schedule anew, under the same id.
        receiver.script(OK)
        hooks.act("redeliver", delivery.id)
        with pytest.raises(DeliveryPending):
            hooks.act("redeliver", delivery.id)
        hooks.drain()
        assert hooks.deliveries()[0].state is DeliveryState.DELIVERED
        assert receiver.received[-1].body == receiver.received[0].body


@pytest.mark.parametrize("kind", ["down", "slow", "redirecting", "resetting"])
def test_whatever_a_receiver_does_wrong_the_schedule_is_kept(hooks: Hooks, kind: str) -> None:
    scripts: dict[str, Script] = {
        "down": OK,
        "slow": Silence(),
        "redirecting": Reply(307, {"location": "/"}),
        "resetting": Reply(200, resets=True),
    }
    with WebhookReceiver(scripts[kind]) as receiver:
        hooks.add(receiver.url)
        if kind == "down":
            receiver.go_down()
        hooks.finish_job()
        run_schedule(hooks, rounds=3)
        [delivery] = hooks.deliveries()
        found = gaps(hooks, delivery.id)
        # A slow receiver's attempts take the whole bound of a second before the wait begins.
        assert [gap - (timedelta(seconds=1) if kind == "slow" else timedelta(0)) for gap in found] == list(DELAYS[1:3])
        assert delivery.last_error in {
            "connect_failed",
            "timeout",
            "redirect_refused",
            "connection_lost",
            "answer_invalid",
        }


def test_a_flapping_receiver_gets_it_in_the_end(hooks: Hooks) -> None:
    with WebhookReceiver(Reply(503), Reply(502), OK) as receiver:
        endpoint, secret = hooks.add(receiver.url)
        hooks.finish_job()
        hooks.round()
        assert hooks.act("get", endpoint.id).failing_since is not None
        run_schedule(hooks)
        [delivery] = hooks.deliveries()
        assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 3)
        assert hooks.act("get", endpoint.id).failing_since is None
        assert [each.status for each in hooks.act("delivery", delivery.id).attempts] == [503, 502, 200]
        assert has_signature_of(receiver.received[-1], secret)


def test_a_receiver_that_asks_for_time_gets_it_and_never_less_than_the_schedule(hooks: Hooks) -> None:
    with WebhookReceiver(Reply(429, {"retry-after": "120"}), Reply(429, {"retry-after": "1"}), OK) as receiver:
        hooks.add(receiver.url)
        hooks.finish_job()
        run_schedule(hooks)
        [delivery] = hooks.deliveries()
        assert gaps(hooks, delivery.id) == [timedelta(seconds=120), DELAYS[2]]


def test_410_disables_at_once_and_notifies_the_others(hooks: Hooks) -> None:
    with WebhookReceiver(Reply(410)) as gone, WebhookReceiver() as other:
        endpoint, _ = hooks.add(gone.url, "job.succeeded")
        hooks.add(other.url, "webhook.disabled")
        hooks.finish_job()
        hooks.finish_job()
        hooks.drain()
        found = hooks.act("get", endpoint.id)
        assert (found.state, found.disabled_reason) == (EndpointState.DISABLED, "gone")
        assert {each.state for each in hooks.deliveries(endpoint_id=endpoint.id)} == {DeliveryState.FAILED}
        [reported] = [orjson.loads(each.body) for each in other.received]
        assert (reported["type"], reported["data"]["reason"]) == ("webhook.disabled", "gone")
        # Nothing is kept for it any more, until it is resumed; then what failed can be had again.
        hooks.finish_job()
        assert len(hooks.deliveries(endpoint_id=endpoint.id)) == 2
        with pytest.raises(EndpointStateConflict):
            hooks.act("test", endpoint.id)
        gone.script(OK)
        hooks.act("resume", endpoint.id)
        since = min(each.created_at for each in hooks.deliveries())
        assert hooks.act("redeliver_since", endpoint.id, since, with_delivered=False) == 2
        hooks.drain()
        assert {each.state for each in hooks.deliveries(endpoint_id=endpoint.id)} == {DeliveryState.DELIVERED}


def test_five_days_of_failure_disable_an_endpoint(hooks: Hooks) -> None:
    with WebhookReceiver(Reply(500)) as receiver:
        endpoint, _ = hooks.add(receiver.url)
        hooks.finish_job()
        run_schedule(hooks)  # about three days
        assert hooks.act("get", endpoint.id).state is EndpointState.ACTIVE
        hooks.move(timedelta(days=2))
        hooks.finish_job()
        hooks.round()
        found = hooks.act("get", endpoint.id)
        assert (found.state, found.disabled_reason) == (EndpointState.DISABLED, "failing")


def test_a_success_in_between_restarts_the_five_days(hooks: Hooks) -> None:
    with WebhookReceiver(Reply(500), OK, Reply(500)) as receiver:
        endpoint, _ = hooks.add(receiver.url)
        hooks.finish_job()
        hooks.round()
        hooks.move(timedelta(days=4))
        hooks.round()
        hooks.move(timedelta(days=2))
        hooks.finish_job()
        hooks.round()
        assert hooks.act("get", endpoint.id).state is EndpointState.ACTIVE


def test_rotation_signs_with_both_secrets_and_then_with_one(hooks: Hooks) -> None:
    with WebhookReceiver() as receiver:
        endpoint, old = hooks.add(receiver.url)
        new = hooks.act("rotate", endpoint.id, timedelta(hours=1)).secret
        hooks.finish_job()
        hooks.drain()
        assert verify(receiver.received[0], old) == verify(receiver.received[0], new)
        assert len(receiver.received[0].headers["webhook-signature"].split(" ")) == 2
        hooks.move(timedelta(hours=2))
        hooks.finish_job()
        hooks.drain()
        assert has_signature_of(receiver.received[1], new)
        assert not has_signature_of(receiver.received[1], old)
        newest = hooks.act("rotate", endpoint.id, timedelta(0)).secret
        hooks.finish_job()
        hooks.drain()
        assert has_signature_of(receiver.received[2], newest)
        assert not has_signature_of(receiver.received[2], new)


def test_a_paused_endpoint_keeps_what_comes(hooks: Hooks) -> None:
    with WebhookReceiver() as receiver:
        endpoint, _ = hooks.add(receiver.url)
        hooks.act("pause", endpoint.id)
        hooks.finish_job()
        assert hooks.drain() == 0
        hooks.act("resume", endpoint.id)
        assert hooks.drain() == 1
        assert len(receiver.received) == 1


def test_a_removed_endpoint_receives_nothing_more(hooks: Hooks) -> None:
    with WebhookReceiver() as receiver:
        endpoint, _ = hooks.add(receiver.url)
        hooks.finish_job()
        hooks.act("remove", endpoint.id)
        assert hooks.drain() == 0
        assert hooks.deliveries()[0].state is DeliveryState.CANCELLED


def test_a_test_message_goes_the_same_way(hooks: Hooks) -> None:
    with WebhookReceiver() as receiver:
        endpoint, secret = hooks.add(receiver.url, "job.failed")
        hooks.act("test", endpoint.id)
        hooks.drain()
        assert verify(receiver.received[0], secret)["type"] == "webhook.test"


def test_a_job_names_a_receiver_of_its_own(hooks: Hooks) -> None:
    with WebhookReceiver() as receiver, WebhookReceiver(Reply(410)) as endpoint:
        hooks.add(endpoint.url)
        secret = hooks.act("rotate_project_secret", timedelta(0)).secret
        webhook = {"url": receiver.url, "events": [], "include_result": True}
        job_id = hooks.finish_job(webhook=webhook)
        hooks.finish_job(webhook={**webhook, "events": ["job.failed"]})
        hooks.drain()
        [received] = receiver.received
        reported = verify(received, secret)
        assert reported["data"]["id"] == encode(JOB, job_id)
        assert reported["data"]["result"] == {"answer": "42"}


def test_what_retention_takes_from_a_job_goes_from_its_messages_too(hooks: Hooks) -> None:
    with WebhookReceiver(Reply(500)) as receiver:
        hooks.add(receiver.url, include_result=True)
        hooks.add(receiver.url)
        job_id = hooks.finish_job()
        with hooks.tenant.database.system() as session:
            retention.blank(session, [job_id])
        states = {each.last_error: hooks.act("delivery", each.id).body is None for each in hooks.deliveries()}
        assert states == {"body_erased": True, None: False}


def test_a_slow_receiver_delays_only_itself(hooks: Hooks) -> None:
    with WebhookReceiver(Silence()) as slow, WebhookReceiver() as quick:
        slow_one, _ = hooks.add(slow.url)
        hooks.make_deliveries(slow_one, 200)
        quick_one, _ = hooks.add(quick.url)
        hooks.act("pause", slow_one.id)
        with hooks.tenant.database.system() as session:
            # The same number for the quick one alone.
            session.execute(
                text(
                    "SELECT webhook_tell(:organization, :project, 'job.failed', '{}', :slow)"
                    " FROM generate_series(1, 200)"
                ),
                {
                    "organization": quick_one.organization_id,
                    "project": quick_one.project_id,
                    "slow": slow_one.id,
                },
            )
        hooks.act("resume", slow_one.id)
        while len(hooks.deliveries(endpoint_id=quick_one.id, state=DeliveryState.DELIVERED)) < 200:
            hooks.deliverer.take()
        assert len(slow.received) < 20
        assert quick.most_at_once <= hooks.settings.webhook_lane_concurrency


def test_what_a_lost_process_held_is_delivered_when_its_lease_is_over(hooks: Hooks) -> None:
    with WebhookReceiver() as receiver:
        hooks.add(receiver.url)
        hooks.finish_job()
        with hooks.tenant.database.system() as session:
            [(held, _)] = queue.claim(session, room=10, weak_room=5, per_lane=4, lease_seconds=30)
        assert hooks.drain() == 0
        hooks.move(timedelta(seconds=31))
        assert hooks.drain() == 1
        [delivery] = hooks.deliveries()
        assert (delivery.state, delivery.attempts) == (DeliveryState.DELIVERED, 2)
        # The one that was lost comes back late: what it writes changes nothing.
        queue.failed(hooks.tenant.database.single_system(), held, Outcome(5, 500, "status_refused"), timedelta(0))
        assert hooks.deliveries()[0].state is DeliveryState.DELIVERED


def test_budgets_and_keys_are_reported(hooks: Hooks) -> None:
    with WebhookReceiver() as receiver, WebhookReceiver() as named:
        hooks.add(receiver.url)
        hooks.add(named.url, "budget.threshold")
        principal = hooks.tenant.principal
        # Alerts are written by a function of the owner's, and by nobody else.
        with hooks.tenant.database.engine.begin() as session:
            for scope, scope_id in (("project", principal.project_id), ("organization", principal.organization_id)):
                session.execute(
                    text(
                        "WITH budget AS (INSERT INTO budgets"
                        " (organization_id, name, scope, scope_id, period, limit_usd)"
                        " VALUES (:organization, :scope, :scope, :scope_id, 'total', 10) RETURNING id)"
                        " INSERT INTO budget_alerts (organization_id, budget_id, period_start, threshold, spent_usd,"
                        " limit_usd) SELECT :organization, id, now(), 80, 8, 10 FROM budget"
                    ),
                    {"organization": principal.organization_id, "scope": scope, "scope_id": scope_id},
                )
            session.execute(
                text(
                    "INSERT INTO api_keys (id, organization_id, project_id, name, prefix, hash, scopes, expires_at)"
                    " VALUES (uuidv7(), :organization, :project, 'k', 'wb', uuid_send(uuidv7()), '{}',"
                    " now() + interval '1 day')"
                ),
                {"organization": principal.organization_id, "project": principal.project_id},
            )
        with hooks.tenant.database.system() as session:
            assert queue.announce_keys(session, WEEK) == 1
            assert queue.announce_keys(session, WEEK) == 0
        hooks.drain()
        reported = sorted(orjson.loads(each.body)["type"] for each in receiver.received)
        # What concerns the whole organisation goes only to those who asked for it by name.
        assert reported == ["budget.threshold", "key.expiring"]
        scopes = sorted(orjson.loads(each.body)["data"]["scope"] for each in named.received)
        assert scopes == ["organization", "project"]


def test_a_decided_experiment_is_reported_to_its_project_or_to_who_asked(hooks: Hooks) -> None:
    principal = hooks.tenant.principal
    with WebhookReceiver() as receiver, WebhookReceiver() as named:
        hooks.add(receiver.url)
        hooks.add(named.url, "experiment.decided")
        with hooks.tenant.database.system() as session:
            for name, project in (("ours", principal.project_id), ("everybodys", None)):
                session.execute(
                    text(
                        "INSERT INTO experiments (id, organization_id, project_id, capability, name, unit, state, salt,"
                        " plan, started_at) VALUES (uuidv7(), :organization, :project, 'probe.act', :name, 'job',"
                        " 'running', decode(repeat('00', 32), 'hex'), '{}', now())"
                    ),
                    {"organization": principal.organization_id, "project": project, "name": name},
                )
            session.execute(
                text("UPDATE experiments SET state = 'paused' WHERE organization_id = :id"),
                {"id": principal.organization_id},
            )
            session.execute(
                text("UPDATE experiments SET state = 'rolled_back', reason = 'worse' WHERE organization_id = :id"),
                {"id": principal.organization_id},
            )
        hooks.drain()
        reported = [orjson.loads(each.body)["data"] for each in receiver.received]
        assert [(each["name"], each["state"], each["reason"]) for each in reported] == [
            ("ours", "rolled_back", "worse")
        ]
        assert sorted(orjson.loads(each.body)["data"]["name"] for each in named.received) == ["everybodys", "ours"]
