"""What the guard's policy lets a tool see, what its answer says to the job, and the class of what it knows."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest

from core.guard.policy import GuardPolicy, Rule
from core.guard.records import Action, Direction
from core.kit.data_classes import DataClass
from core.kit.errors import CapabilityFailure
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from pipelines._kit.tools.box import ToolBox
from pipelines._kit.tools.servers import ToolPolicies
from tests.factories.attempts import Attempt, attempt
from tests.factories.guarded import ANNA, BEN, BLOCKING, CORPUS, guard_of, leaks
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.sample_system import Attached, attached

CUSTOMER, KNOWN, MAIL = "C-1001", "mila.janssen@example.org", CORPUS[2]
TO_TOOL = GuardPolicy(rules=(Rule(directions=(Direction.TO_TOOL,), action=Action.REDACT),))


@pytest.fixture(scope="module")
def system(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attached]:
    with attached(postgres_url, tmp_path_factory.mktemp("system")) as opened:
        yield opened


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    opened.close()


@contextmanager
def box(
    settings: Settings, tenant: Tenant, system: Attached, policy: GuardPolicy, **allowed: Any
) -> Iterator[tuple[ToolBox, Attempt]]:
    """The sample system's tools in a job under a policy; `allowed` is what the operator's file says of each."""
    tools = system.tools
    policies = ToolPolicies(
        {each.operation: replace(each, **{"receives": frozenset(), **allowed}) for each in tools.policies}
    )
    with attempt(settings, encode(JOB, tenant.submit()), guard=guard_of(settings, policy)) as driven:
        yield ToolBox(driven.context, policies, tools.client, "act"), driven
    tools.client.close()


@pytest.mark.survive("P9")
def test_a_tool_gets_tokens_unless_the_operator_lets_it_receive_the_kind(
    settings: Settings, tenant: Tenant, system: Attached
) -> None:
    body = f"{ANNA} can be reached at {CORPUS[3]} or {MAIL}."
    message = {"customer_id": CUSTOMER, "body": body}
    with box(settings, tenant, system, TO_TOOL) as (tools, _):
        assert tools.call("send_message", message, call="one").status == "done"
        assert tools.call("find_customer", {"email": MAIL}, call="two").code == "customer_unknown"
    [first] = system.rows("SELECT body FROM messages")
    assert first["body"] == "<PERSON_1> can be reached at <PHONE_1> or <EMAIL_1>."
    with box(settings, tenant, system, TO_TOOL, receives=frozenset({"email"})) as (tools, _):
        tools.call("send_message", message, call="one")
        assert tools.call("find_customer", {"email": KNOWN}, call="two").result["customer_id"] == CUSTOMER
    [second] = system.rows("SELECT body FROM messages WHERE body <> %s", first["body"])
    assert second["body"] == f"<PERSON_1> can be reached at <PHONE_1> or {MAIL}."


def test_what_is_blocked_reaches_no_tool_whatever_it_may_receive(
    settings: Settings, tenant: Tenant, system: Attached
) -> None:
    before = system.count("messages")
    with (
        box(settings, tenant, system, BLOCKING, receives=frozenset({"phone"})) as (tools, driven),
        pytest.raises(CapabilityFailure) as refused,
    ):
        tools.call("send_message", {"customer_id": CUSTOMER, "body": CORPUS[3]}, call="one")
    assert (refused.value.code, leaks(refused.value.detail)) == ("guard_blocked", [])
    assert system.count("messages") == before
    assert [event.type for event in tenant.events(driven.context.job_id) if event.type.startswith("tool")] == []


def test_an_answer_holds_the_values_again_and_no_others(settings: Settings, tenant: Tenant) -> None:
    with attempt(settings, encode(JOB, tenant.submit()), guard=guard_of(settings, TO_TOOL)) as driven:
        context = driven.context
        context.for_tool({"who": BEN})
        sent, restored = context.for_tool({"who": ANNA, "say": ["<PERSON_1>", 7]})
        assert sent == {"who": "<PERSON_2>", "say": ["<LITERAL_1>", 7]}
        # A tool that makes up the token of another value learns nothing, and the job shows nothing by it.
        answer = {"for <PERSON_2>": ["<PERSON_2>", "<PERSON_1>", "<LITERAL_1>"]}
        assert restored(answer) == {f"for {ANNA}": [ANNA, "<PERSON_1>", "<PERSON_1>"]}
        sent, restored = context.for_tool({"n": 5})
        assert (sent, restored("<PERSON_2>")) == ({"n": 5}, "<PERSON_2>")


def test_a_job_that_calls_a_labeled_tool_has_data_of_its_class(
    settings: Settings, tenant: Tenant, system: Attached
) -> None:
    with box(settings, tenant, system, GuardPolicy(), data_class=DataClass.CONFIDENTIAL) as (tools, driven):
        tools.call("track_parcel", {"tracking": "unknown"}, call="one")
        assert driven.context.data_class is DataClass.CONFIDENTIAL
    [raised] = [event.data for event in tenant.events(driven.context.job_id) if event.type == "job.classified"]
    assert raised["because"] == "tool track_parcel"
