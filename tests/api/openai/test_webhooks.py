"""The end of responses told in OpenAI's shape, and verified by its own client."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.factories.openai_stack import OpenAIStack
from tests.factories.processes import settings_of
from tests.factories.waiting import wait_until
from tests.factories.webhook_receiver import WebhookReceiver
from tests.factories.webhooks import LOOPBACK, Hooks, new_hooks

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("openai")]

EVENTS = ("response.completed", "response.incomplete", "response.failed", "response.cancelled")


@pytest.fixture
def hooks(stack: OpenAIStack) -> Iterator[Hooks]:
    made = new_hooks(settings_of(stack.api.settings, **LOOPBACK), stack.tenant)
    yield made
    made.deliverer.close()


def test_the_end_of_a_response_is_reported_and_unwrapped(client: OpenAI, hooks: Hooks) -> None:
    with WebhookReceiver() as receiver, WebhookReceiver() as everything:
        endpoint, secret = hooks.add(receiver.url, *EVENTS)
        other, _ = hooks.add(everything.url)
        made = client.responses.create(model="writer", input="Say hello")
        short = client.responses.create(model="writer", input="LONG")
        failed = client.responses.create(model="writer", input="REFUSE", background=True)
        held = client.responses.create(model="writer", input="HOLD", background=True)
        client.responses.cancel(held.id)
        client.responses.create(model="writer", input="Say hello", store=False)
        client.chat.completions.create(model="writer", messages=[{"role": "user", "content": "Say hello"}])
        for each in (failed, held):
            wait_until(lambda made=each: is_over(client, made.id), timeout_seconds=20, what="its end")  # type: ignore[misc]
        hooks.drain()
        reported: list[Any] = [
            client.webhooks.unwrap(each.body, each.headers, secret=secret) for each in receiver.received
        ]
        assert {(event.type, event.data.id) for event in reported} == {
            ("response.completed", made.id),
            ("response.incomplete", short.id),
            ("response.failed", failed.id),
            ("response.cancelled", held.id),
        }
        assert len(reported) == len({event.id for event in reported})
        assert all(event.object == "event" and event.created_at > 0 for event in reported)
        spoilt = receiver.received[0]
        with pytest.raises(openai.InvalidWebhookSignatureError):
            client.webhooks.unwrap(spoilt.body + b" ", spoilt.headers, secret=secret)
        # Who names no events is told in Waybill's words alone.
        assert {name for each in everything.received for name in (b"job.", b"response.") if name in each.body} == {
            b"job."
        }
        for gone in (endpoint, other):
            hooks.act("remove", gone.id)


def is_over(client: OpenAI, response_id: str) -> bool:
    return client.responses.retrieve(response_id).status in {"failed", "cancelled"}
