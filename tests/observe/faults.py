"""What is broken on purpose, and the alert that has to name it, and no other."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import psycopg

from tests.factories.provider_simulator import Failure
from tests.factories.webhook_receiver import Reply, WebhookReceiver
from tests.observe.load import read_stream, repeated
from tests.observe.stack import MODEL, Stack


@dataclass(frozen=True, slots=True)
class Fault:
    """`break_it` keeps something broken for as long as its block lasts. `alert` is what people are notified of."""

    name: str
    alert: str
    page: str
    break_it: Callable[[Stack], AbstractContextManager[None]]


# Alerts that no fault is injected for, and why; promtool's tests show that they fire.
NOT_INJECTED = {
    "WaybillBackupMissing": "its series are those of kube-state-metrics",
    "WaybillGuardChildrenLost": "the guard is not started: it takes 300 MB",
    "WaybillGuardUnavailable": "the guard is not started: it takes 300 MB",
    "WaybillWorkersReplaced": "workers that crash are started again after pauses that grow, too rarely for the test",
}


@contextmanager
def _frozen_deliverer(stack: Stack) -> Iterator[None]:
    with stack.frozen("waybill deliverer"):
        yield


@contextmanager
def _frozen_dispatcher(stack: Stack) -> Iterator[None]:
    with stack.frozen("waybill dispatcher"):
        yield


@contextmanager
def _frozen_pool(stack: Stack) -> Iterator[None]:
    with stack.frozen("--capability probe"):
        stack.probe()
        yield


@contextmanager
def _full_pool(stack: Stack) -> Iterator[None]:
    for _ in range(stack.slots("probe")):
        stack.probe("sleep", seconds=300)
    stack.probe()
    yield


@contextmanager
def _late_starts(stack: Stack) -> Iterator[None]:
    """Jobs that wait for eleven seconds: longer than the objective allows, and not as long as to be found waiting."""

    def fill() -> None:
        for _ in range(stack.slots("probe")):
            stack.probe("sleep", seconds=11)
        late = [stack.probe() for _ in range(5 * stack.slots("probe"))]
        stack.http.get(f"/v1/jobs/{late[-1]}", params={"wait": 25})

    with repeated(fill, every_seconds=0.1):
        yield


@contextmanager
def _broken_table(stack: Stack, privilege: str, table: str, method: str, path: str) -> Iterator[None]:
    """The role of requests may not do what a route needs, which answers with 500."""
    with stack.owner() as owner:
        owner.execute(f"REVOKE {privilege} ON {table} FROM waybill_app")
    body = {"capability": "probe.act", "input": {}} if method == "POST" else None
    try:
        with repeated(lambda: stack.http.request(method, path, json=body), every_seconds=0.1):
            yield
    finally:
        with stack.owner() as owner:
            owner.execute(f"GRANT {privilege} ON {table} TO waybill_app")


@contextmanager
def _failing_requests(stack: Stack) -> Iterator[None]:
    with _broken_table(stack, "SELECT", "knowledge_bases", "GET", "/v1/knowledge-bases"):
        yield


@contextmanager
def _failing_submissions(stack: Stack) -> Iterator[None]:
    with _broken_table(stack, "INSERT", "jobs", "POST", "/v1/jobs"):
        yield


@contextmanager
def _slow_submissions(stack: Stack) -> Iterator[None]:
    def hold() -> None:
        with psycopg.connect(stack.settings["database_url"]) as owner:
            owner.execute("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE")
            time.sleep(1.2)

    with ExitStack() as many:
        many.enter_context(repeated(hold, every_seconds=0.3))
        for _ in range(4):
            many.enter_context(repeated(stack.probe, every_seconds=0.1))
        yield


@contextmanager
def _failing_jobs(stack: Stack) -> Iterator[None]:
    with repeated(lambda: stack.probe("fail", retryable=False), every_seconds=0.3):
        yield


@contextmanager
def _crashing_jobs(stack: Stack) -> Iterator[None]:
    """One job in eight fails for no reason of its own: too few for `WaybillJobsFail`, too many for the objective."""

    def some() -> None:
        stack.probe("crash", max_attempts=1)
        for _ in range(7):
            stack.probe()

    with repeated(some, every_seconds=0.2):
        yield


@contextmanager
def _provider_503(stack: Stack) -> Iterator[None]:
    usual, stack.mood.usual = stack.mood.usual, Failure(status=503)
    try:
        with repeated(lambda: stack.probe("ask", model=MODEL, note="Hello?"), every_seconds=0.5):
            yield
    finally:
        stack.mood.usual = usual


@contextmanager
def _wrong_balance(stack: Stack) -> Iterator[None]:
    def add(amount: str) -> None:
        with stack.owner() as owner:
            owner.execute("SET session_replication_role = replica")
            changed = owner.execute(f"UPDATE budget_balances SET spent_usd = spent_usd + {amount}").rowcount
            assert changed, "there is no balance"

    # Without spending there is no balance.
    spent = stack.probe("ask", model=MODEL, note="Hello?")
    while stack.http.get(f"/v1/jobs/{spent}", params={"wait": 25}).json()["state"] != "succeeded":
        pass
    add("1")
    try:
        yield
    finally:
        add("-1")


@contextmanager
def _frozen_valkey(stack: Stack) -> Iterator[None]:
    with stack.frozen("valkey-server"), repeated(stack.embed, every_seconds=0.3):
        yield


@contextmanager
def _slow_valkey(stack: Stack) -> Iterator[None]:
    """It answers in bursts: events that were made meanwhile are late."""
    import redis

    server = redis.Redis.from_url(stack.settings["redis_url"])

    def pause() -> None:
        server.client_pause(1300)

    def watch() -> None:
        read_stream(stack, stack.probe("stream", chunks=60, seconds=0.05))

    with ExitStack() as many:
        many.callback(server.close)
        for _ in range(3):
            many.enter_context(repeated(watch, every_seconds=0.1))
        many.enter_context(repeated(pause, every_seconds=1.4))
        yield


@contextmanager
def _endpoint(stack: Stack, url: str) -> Iterator[None]:
    made = stack.http.post("/v1/webhook-endpoints", json={"url": url}).raise_for_status().json()
    try:
        yield
    finally:
        stack.http.delete(f"/v1/webhook-endpoints/{made['id']}")


@contextmanager
def _failing_receiver(stack: Stack) -> Iterator[None]:
    with (
        WebhookReceiver(Reply(status=500)) as receiver,
        _endpoint(stack, receiver.url),
        repeated(stack.probe, every_seconds=0.3),
    ):
        yield


class _Slow(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        time.sleep(6)
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _slow_receiver(stack: Stack) -> Iterator[None]:
    """It takes everything, six seconds each: what is sent to it queues up."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        with (
            _endpoint(stack, f"http://127.0.0.1:{server.server_address[1]}/hook"),
            repeated(stack.probe, every_seconds=0.3),
        ):
            yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def _blocked_sealer(stack: Stack) -> Iterator[None]:
    with psycopg.connect(stack.settings["database_url"]) as owner:
        # Whoever follows the runbook reads the table meanwhile.
        owner.execute("LOCK TABLE audit_seals IN EXCLUSIVE MODE")
        yield
        owner.rollback()


@contextmanager
def _burning_budget(stack: Stack) -> Iterator[None]:
    """Thirty hours in which two dollars an hour were spent, and a budget with room for five more."""
    whose = "SELECT organization_id FROM budgets LIMIT 1"
    with stack.owner() as owner:
        owner.execute(
            "INSERT INTO call_rollups SELECT 'hour', date_trunc('hour', now()) - number * interval '1 hour',"
            f" ({whose}), '00000000-0000-0000-0000-000000000000', NULL, 'history', 'history', 'history', NULL,"
            " 1, 0, 0, 0, 2, '{}', '{}' FROM generate_series(1, 30) AS number"
        )
    budget = {"name": "burns", "period": "total", "limit_usd": "10", "scope": "organization"}
    made = stack.http.post("/v1/budgets", json=budget).raise_for_status().json()
    try:
        with repeated(lambda: stack.probe("ask", model=MODEL, note="Hello?"), every_seconds=1.0):
            yield
    finally:
        stack.http.post(f"/v1/budgets/{made['id']}/archive")
        with stack.owner() as owner:
            owner.execute("DELETE FROM call_rollups WHERE capability = 'history'")


@contextmanager
def _worse_answers(stack: Stack) -> Iterator[None]:
    """An alert as the dispatcher's collector raises it; a version that answers worse takes hundreds of jobs to find."""
    with stack.owner() as owner:
        owner.execute(
            "INSERT INTO quality_alerts (id, organization_id, capability, model_version, signal, direction, is_worse,"
            " baseline_version, baseline_jobs, observed_jobs, evidence, threshold, began_at, job_ids)"
            " SELECT gen_random_uuid(), organization_id, 'knowledge.search', 'answers v4', 'quotes_verified', 'lower',"
            " true, 'answers v3', 500, 300, 12, 10, now(), '{}' FROM projects LIMIT 1"
        )
    try:
        yield
    finally:
        with stack.owner() as owner:
            owner.execute("DELETE FROM quality_alerts WHERE model_version = 'answers v4'")


FAULTS = (
    Fault("a process hangs", "WaybillProcessDown", "process-down.md", _frozen_deliverer),
    Fault("the dispatcher hangs", "WaybillNoDispatcher", "no-dispatcher.md", _frozen_dispatcher),
    Fault("a pool's worker hangs", "WaybillNoWorker", "no-worker.md", _frozen_pool),
    Fault("a pool is full", "WaybillJobsWait", "jobs-wait.md", _full_pool),
    Fault("jobs start late", "WaybillStartDelayBurnsFast", "jobs-wait.md", _late_starts),
    Fault("a route fails", "WaybillRequestsFail", "requests-fail.md", _failing_requests),
    Fault("submissions fail", "WaybillSubmitAvailabilityBurnsFast", "requests-fail.md", _failing_submissions),
    Fault("submissions are slow", "WaybillSubmitLatencyBurnsFast", "slow-queries.md", _slow_submissions),
    Fault("jobs fail", "WaybillJobsFail", "jobs-fail.md", _failing_jobs),
    Fault("jobs crash", "WaybillJobSuccessBurnsFast", "jobs-fail.md", _crashing_jobs),
    Fault("the provider answers 503", "WaybillJobsRequeued", "model-provider-unavailable.md", _provider_503),
    Fault("a balance is wrong", "WaybillInvariantViolated", "invariant-violated.md", _wrong_balance),
    Fault("Valkey hangs", "WaybillLiveEventsLost", "streams-not-delivered.md", _frozen_valkey),
    Fault("Valkey is slow", "WaybillStreamLagBurnsFast", "streams-not-delivered.md", _slow_valkey),
    Fault("a receiver fails", "WaybillWebhooksFail", "webhooks-fail.md", _failing_receiver),
    Fault("a receiver is slow", "WaybillWebhookDeliveryBurnsFast", "webhooks-fail.md", _slow_receiver),
    Fault("a budget burns", "WaybillBudgetsExhaustSoon", "budget-storm.md", _burning_budget),
    Fault("answers get worse", "WaybillQualityDropped", "quality-dropped.md", _worse_answers),
    Fault("the sealer is blocked", "WaybillSealerLagBurnsFast", "audit-gap.md", _blocked_sealer),
)
