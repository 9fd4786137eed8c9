"""Messages on spans: none unless the operator wants them, then as the model read them, and never more than so much."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from core.gateway.content import ContentCapture
from core.gateway.models import ChatRequest, Chunk, Finish, Message, Passage, Question, Role, Text
from core.gateway.routing import CHAT
from core.gateway.service import Gateway
from core.kit import telemetry
from core.kit.errors import CapabilityFailure
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from tests.core.gateway.test_request_guard import ask, echo, everything
from tests.factories.attempts import attempt
from tests.factories.calls import simulated
from tests.factories.guarded import ANNA, CORPUS, TO_MODEL, guard_of, leaks
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.provider_simulator import ProviderSimulator
from tests.factories.trace_collector import Collector, attributes_of, collecting
from tests.factories.trace_reference import check_spans


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    with collecting() as server:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.url)
        telemetry.configure_tracing(Settings(), "test")
        yield server
        telemetry.shutdown_tracing()


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    opened.close()


def shown(collector: Collector) -> dict[str, Any]:
    """The attributes of the only model call."""
    telemetry.shutdown_tracing()
    (span,) = [span for span in collector.spans if span.name.startswith("chat ")]
    check_spans([span])
    return attributes_of(span)


@pytest.mark.parametrize("is_on", [True, False])
def test_what_went_over_the_network_is_shown_if_wanted_and_holds_tokens(
    settings: Settings, tenant: Tenant, collector: Collector, is_on: bool
) -> None:
    settings = settings.model_copy(update={"trace_content": is_on})
    with (
        ProviderSimulator(echo) as server,
        simulated(settings, main=server, guard=guard_of(settings, TO_MODEL)) as (gateway, _),
        attempt(settings, encode(JOB, tenant.submit())) as driven,
    ):
        said, _ = ask(gateway, driven, everything())
    assert ANNA in said
    reported = shown(collector)
    assert leaks(collector.text) == []
    if not is_on:
        assert not {"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"} & reported.keys()
        assert "PERSON" not in collector.text
        return
    [system] = json.loads(reported["gen_ai.system_instructions"])
    assert (system["type"], "You help <PERSON" in system["content"]) == ("text", True)
    asked = json.loads(reported["gen_ai.input.messages"])
    assert [message["role"] for message in asked] == ["user", "assistant", "tool", "tool"]
    assert [part["type"] for part in asked[1]["parts"]] == ["text", "tool_call"]
    assert asked[2]["parts"][0]["type"] == "tool_call_response"
    [answer] = json.loads(reported["gen_ai.output.messages"])
    assert (answer["role"], answer["finish_reason"]) == ("assistant", "stop")
    assert "PERSON_1" in answer["parts"][0]["content"]
    assert answer["parts"][1]["name"] == "find"


def test_what_a_model_in_this_process_read_as_it_was_is_masked_on_its_span(
    settings: Settings, tenant: Tenant, collector: Collector
) -> None:
    request = ChatRequest.of_parts(
        (Passage("p", f"The parcel of {ANNA} left Hamburg on Monday.", "d"), Question("When did the parcel leave?"))
    )
    gateway = Gateway(Settings(model_base_url=None, trace_content=True), guard=guard_of(settings, TO_MODEL))
    with (
        attempt(settings, encode(JOB, tenant.submit())) as driven,
        gateway.for_job(driven.context).chat(CHAT, request) as stream,
    ):
        assert ANNA in "".join(chunk.text for chunk in stream)
    gateway.close()
    reported = shown(collector)
    assert "The parcel of <PERSON> left Hamburg" in reported["gen_ai.input.messages"]
    assert "<PERSON>" in reported["gen_ai.output.messages"]
    assert leaks(collector.text) == []


def refused(_: Any) -> list[str]:
    raise CapabilityFailure("the analyzer does not answer", code="guard_unavailable")


def test_an_attribute_is_bounded_and_what_cannot_be_masked_is_left_out() -> None:
    secret = CORPUS[0]
    request = ChatRequest(
        system="short",
        messages=tuple(Message(Role.USER, (Text(secret + "ä" * 5000),)) for _ in range(20)),
    )
    answer = [Chunk("word " * 100)]
    bounded = ContentCapture(2000)
    reported = bounded.attributes(request, answer, Finish.STOP, mask_request=None, mask_answer=None)
    assert reported["waybill.content.truncated"] is True
    for name in ("gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"):
        assert len(str(reported[name]).encode()) <= 2000
    assert len(json.loads(str(reported["gen_ai.input.messages"]))) == 20
    assert json.loads(str(reported["gen_ai.system_instructions"]))[0]["content"] == "short"
    many = ChatRequest(messages=tuple(Message(Role.USER, (Text(secret),)) for _ in range(500)))
    assert bounded.attributes(many, [], None, mask_request=None, mask_answer=None)["gen_ai.input.messages"] == "[]"

    withheld = bounded.attributes(request, answer, Finish.STOP, mask_request=refused, mask_answer=None)
    assert withheld == {"waybill.content.withheld": "guard_unavailable"}
