"""Deliverers as processes: killed in the middle, with a receiver that crashes and a Redis that forgets."""

from collections import Counter

import pytest

from core.kit.settings import Settings
from core.webhooks.records import DeliveryState
from tests.factories.jobs import new_tenant
from tests.factories.processes import Process, running, settings_of, start
from tests.factories.waiting import wait_until
from tests.factories.webhook_receiver import OK, Reply, WebhookReceiver
from tests.factories.webhooks import LOOPBACK, Hooks, new_hooks, verify
from waybill.stack.valkey import EmbeddedValkey

ENVIRONMENT = {
    "WAYBILL_WEBHOOK_ALLOWED_NETWORKS": '["127.0.0.0/8"]',
    "WAYBILL_WEBHOOK_LEASE_SECONDS": "3",
    "WAYBILL_WEBHOOK_TIMEOUT_SECONDS": "2",
    "WAYBILL_WEBHOOK_LANE_CONCURRENCY": "8",
}


def survive(settings: Settings, valkey: EmbeddedValkey, deliveries: int, timeout_seconds: float) -> tuple[int, int]:
    """So many deliveries while a deliverer is killed, the receiver goes down and Redis forgets everything.

    Returns how many messages there were and how many requests arrived.
    """
    hooks: Hooks = new_hooks(settings_of(settings, **LOOPBACK), new_tenant(settings))
    processes: list[Process] = []
    try:
        with WebhookReceiver() as receiver:
            endpoint, secret = hooks.add(receiver.url)
            hooks.make_deliveries(endpoint, deliveries)
            processes = [start(settings, "workers", "deliverer", **ENVIRONMENT) for _ in range(2)]
            wait_until(
                lambda: len(receiver.received) > deliveries // 10, timeout_seconds=60, what="the first deliveries"
            )
            processes[0].kill()
            valkey.flush()
            processes.append(start(settings, "workers", "deliverer", **ENVIRONMENT))
            wait_until(lambda: len(receiver.received) > deliveries // 4, timeout_seconds=120, what="more deliveries")
            receiver.go_down()
            processes[1].kill()
            processes.append(start(settings, "workers", "deliverer", **ENVIRONMENT))
            processes[-1].wait_for("deliverer_started")
            receiver.come_up()
            wait_until(
                lambda: len({each.id for each in tuple(receiver.received)}) == deliveries,
                timeout_seconds=timeout_seconds,
                what=f"all {deliveries} messages to arrive",
                pause_seconds=0.2,
            )
            wait_until(
                lambda: not hooks.deliveries(state=DeliveryState.PENDING),
                timeout_seconds=60,
                what="every delivery to be settled",
            )
            for received in receiver.received:
                assert verify(received, secret)["type"] == "job.failed"
            bodies = {(each.id, each.body) for each in receiver.received}
            assert len(bodies) == deliveries
            return deliveries, len(receiver.received)
    finally:
        for process in processes:
            process.kill()
        hooks.close()


@pytest.mark.survive("S5")
def test_all_arrive_whatever_is_killed_flushed_or_down(settings: Settings, valkey: EmbeddedValkey) -> None:
    messages, requests = survive(settings, valkey, deliveries=300, timeout_seconds=60)
    assert requests >= messages


@pytest.mark.slow(240)
@pytest.mark.survive("S5")
@pytest.mark.timeout(900)
def test_ten_thousand_arrive_whatever_is_killed_flushed_or_down(settings: Settings, valkey: EmbeddedValkey) -> None:
    messages, requests = survive(settings, valkey, deliveries=10_000, timeout_seconds=600)
    assert requests >= messages


def test_a_deliverer_finishes_what_is_under_way_before_it_leaves(settings: Settings) -> None:
    hooks = new_hooks(settings_of(settings, **LOOPBACK), new_tenant(settings))
    try:
        with (
            WebhookReceiver(Reply(500), OK) as receiver,
            running(settings, "workers", "deliverer", until="deliverer_started", **ENVIRONMENT) as process,
        ):
            hooks.add(receiver.url)
            hooks.finish_job()
            wait_until(lambda: len(receiver.received) == 1, timeout_seconds=20, what="the first attempt")
            # Five seconds later, as the schedule says.
            wait_until(lambda: len(receiver.received) == 2, timeout_seconds=20, what="the second attempt")
            wait_until(
                lambda: hooks.deliveries()[0].state is DeliveryState.DELIVERED, timeout_seconds=10, what="its outcome"
            )
            assert process.stop() == 0
            assert Counter(each.id for each in receiver.received).most_common(1)[0][1] == 2
            assert "deliverer_stopped" in process.output()
    finally:
        hooks.close()
