"""A tool server continues the trace, and learns whose work it does only where the operator says so."""

import pytest

from core.kit.ids import ORGANIZATION, encode, new_id
from core.kit.job_traces import TraceScope, traced_for
from core.kit.telemetry import current_traceparent, span
from pipelines._kit.tools.client import McpClient, ToolError
from pipelines._kit.tools.policies import ToolServer
from tests.factories.webhook_receiver import Reply, WebhookReceiver


@pytest.mark.parametrize("baggage", [False, True])
def test_a_tool_server_gets_the_trace_and_baggage_if_it_may(baggage: bool) -> None:
    scope = TraceScope(new_id(), new_id(), "customer_operations.resolve", new_id(), 1)
    client = McpClient()
    with WebhookReceiver(Reply(403)) as receiver, traced_for(scope), span("execute_tool find"):
        server = ToolServer(name="shop", url=receiver.url, timeout_seconds=10, max_attempts=1, baggage=baggage)
        with pytest.raises(ToolError):
            client.call(server, "find", {})
        traceparent = current_traceparent()
    client.close()
    sent = {name.lower(): value for name, value in receiver.received[0].headers.items()}
    assert sent["traceparent"] == traceparent
    assert ("baggage" in sent) is baggage
    if baggage:
        assert encode(ORGANIZATION, scope.organization_id) in sent["baggage"]
        assert "job_" not in sent["baggage"]
