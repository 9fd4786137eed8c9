"""What an attached system answers: used where it fits the operation, else named by one of three things."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from core.capability import JobSuspended
from core.kit.errors import CapabilityFailure
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from pipelines._kit.tools.box import ToolBox
from pipelines._kit.tools.client import McpClient
from pipelines._kit.tools.outcomes import ToolOutcome
from pipelines._kit.tools.policies import Effect, ToolPolicy, ToolServer
from pipelines._kit.tools.servers import ToolPolicies
from pipelines.customer_operations.answers import READERS
from tests.factories.attempts import attempt
from tests.factories.hostile_tools import SECRET, hostile_tools
from tests.factories.jobs import Tenant, new_tenant

FIND: dict[str, Any] = {"operation": "find_customer", "tool": "find_customer", "effect": Effect.READ}
TICKET: dict[str, Any] = {
    "operation": "open_ticket",
    "tool": "open_ticket",
    "effect": Effect.WRITE,
    "idempotency_argument": "request_id",
}


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with hostile_tools() as url:
        yield url


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    opened.close()


@contextmanager
def box(settings: Settings, tenant: Tenant, address: str, timeout_seconds: float = 10) -> Iterator[ToolBox]:
    server = ToolServer(name="hostile", url=address, timeout_seconds=timeout_seconds, max_attempts=1)
    common: dict[str, Any] = {"server": server, "calls_per_job": 9, "arguments": {}, "results": {}}
    policies = ToolPolicies({each["operation"]: ToolPolicy(**each, **common) for each in (FIND, TICKET)})
    client = McpClient()
    try:
        with attempt(settings, encode(JOB, tenant.submit())) as driven:
            yield ToolBox(driven.context, policies, client, "act", readers=READERS)
    finally:
        client.close()


def find(tools: ToolBox, quirk: str) -> ToolOutcome:
    return tools.call("find_customer", {"email": quirk}, call="one")


def test_an_answer_that_fits_is_used_and_mended(settings: Settings, tenant: Tenant, address: str) -> None:
    with box(settings, tenant, address) as tools:
        found = {quirk: find(tools, quirk).result for quirk in ("good", "nul", "surrogate", "number", "wide")}
    assert {quirk: result["name"] for quirk, result in found.items()} == {
        "good": "Anna",
        "nul": "Anna",
        "surrogate": "An\ufffdna",
        "number": "Anna",
        "wide": "x",
    }
    assert found["wide"]["customer_id"] == "123456789012345678901234567890"


@pytest.mark.parametrize(
    "quirk", ["html", "empty", "nothing", "list", "nan", "types", "lacking", "deep", "picture", "large"]
)
def test_an_answer_that_does_not_fit_is_invalid_and_asked_for_once(
    settings: Settings, tenant: Tenant, address: str, quirk: str
) -> None:
    with box(settings, tenant, address) as tools:
        with pytest.raises(CapabilityFailure) as raised:
            find(tools, quirk)
        # Of an effect it is not known: it was called, and may be done. A person is asked.
        with pytest.raises(JobSuspended) as asked:
            tools.call("open_ticket", {"kind": quirk}, call="two")
    assert (raised.value.code, raised.value.retryable, raised.value.outage) == ("tool_answer_invalid", False, None)
    for said in (raised.value.detail, str(asked.value.why)):
        assert not any(word in said for word in ("Error", "validation", "pydantic", "Anna", "login", "Traceback"))


def test_silence_and_absence_are_two_other_things(settings: Settings, tenant: Tenant, address: str) -> None:
    codes = {}
    for name, url, seconds in (("late", address, 0.5), ("absent", "http://127.0.0.1:9/mcp", 5.0)):
        with box(settings, tenant, url, seconds) as tools, pytest.raises(CapabilityFailure) as raised:
            find(tools, "never")
        codes[name] = raised.value.code
        assert raised.value.outage is not None
        assert raised.value.outage.dependency == "tool server hostile"
    assert codes == {"late": "tool_timeout", "absent": "tool_unavailable"}


def test_the_text_of_an_exception_in_the_system_is_not_shown(settings: Settings, tenant: Tenant, address: str) -> None:
    with box(settings, tenant, address) as tools:
        outcome = find(tools, "raises")
    assert (outcome.status, outcome.code) == ("refused", "tool_refused")
    assert SECRET not in str(outcome.plain())
    assert "Error" not in str(outcome.message)


def test_a_tool_that_the_server_does_not_have_was_not_called(settings: Settings, tenant: Tenant, address: str) -> None:
    with box(settings, tenant, address) as tools:
        policy = replace(tools.policy("open_ticket"), tool="nothing_of_the_kind")
        tools._policies = ToolPolicies({"open_ticket": policy})
        outcome = tools.call("open_ticket", {"kind": "good"}, call="one")
    assert outcome.status == "refused"
