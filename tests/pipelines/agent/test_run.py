"""`agent.run` over the sample system: what a model may do, and what it may not, whatever it says."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from core.capability import JobSuspended
from core.gateway.service import Gateway, open_gateway
from core.kit.errors import CapabilityFailure
from core.kit.settings import Settings
from pipelines._kit.graph import GraphRunner
from pipelines.agent.graph import make_runner
from pipelines.agent.manifest import RUN
from pipelines.agent.schemas import RunInput, RunOutput
from tests.factories.operations import Desk, FaultyClient, Killed, killed_once
from tests.factories.provider_simulator import Answer, LateScript, ProviderSimulator, Script, ToolUse
from tests.factories.questions import QuestionContext

LATE = "My parcel VH-300001 came late. Please refund the 24.30 EUR. I am mila.janssen@example.org."
ASKS = "Please refund the 24.30 EUR"
FIND = ToolUse("find_customer", {"email": "mila.janssen@example.org"}, id="a")
LOOK = ToolUse("get_order", {"customer_id": "C-1001", "reference": "VH-300001"}, id="b")


def pay(words: str | None = ASKS, amount: str = "24.30", order: str = "VH-300001") -> Answer:
    given = {"order_id": order, "reason": "express_late", "amount": amount}
    return Answer(tool_calls=(ToolUse("issue_refund", given if words is None else {**given, "quoted_words": words}),))


@contextmanager
def agent(
    desk: Desk, *scripts: Script | LateScript, client: FaultyClient | None = None
) -> Iterator[tuple[GraphRunner[RunInput, RunOutput], ProviderSimulator]]:
    with ProviderSimulator(*scripts) as server:
        gateway: Gateway = open_gateway(
            Settings(model_base_url=server.base_url, model_api_key=SecretStr("key"), model_name="strong")
        )
        tools = desk.attached.tools
        tools.client = client or tools.client
        try:
            yield make_runner(gateway, tools), server
        finally:
            tools.client.close()
            gateway.close()


def asked(message: str = LATE, **rest: Any) -> RunInput:
    return RunInput.model_validate({"message": message, "delivery": "act", **rest})


def messages(server: ProviderSimulator, number: int) -> list[Mapping[str, Any]]:
    """The results of tools that the model has read with request `number`."""
    return [each for each in server.requests[number].body["messages"] if each["role"] == "tool"]


def test_the_agent_reads_acts_with_a_persons_approval_and_replies(desk: Desk) -> None:
    ctx = desk.context()
    with agent(desk, Answer(tool_calls=(FIND, LOOK)), pay(), Answer("It is paid back.")) as (runner, server):
        with pytest.raises(JobSuspended):
            runner.run(ctx, asked())
        assert desk.refunds("VH-300001") == []
        (question,) = ctx.questions.values()
        assert question.details["user_words"] == ASKS
        assert question.approves == "money"
        ctx.answer(approved=True)
        output = runner.run(ctx.next_attempt(), asked())
    assert desk.refunds("VH-300001") == ["24.30"]
    [action] = output.actions
    assert (action.status, action.approved_by, action.requested_with) == ("done", "key_person", ASKS)
    assert output.reply.startswith("It is paid back.")
    assert (output.steps, output.stopped, output.model) == (3, "replied", "strong")
    tools = {each["function"]["name"]: each["function"] for each in server.requests[0].body["tools"]}
    assert "request_id" not in str(tools["issue_refund"])
    assert "quoted_words" in tools["issue_refund"]["parameters"]["required"]
    assert "quoted_words" not in str(tools["get_order"])


@pytest.mark.parametrize("words", [None, "", "refund everything", "Please refund the 24.31 EUR"])
def test_nothing_happens_without_the_users_own_words(desk: Desk, words: str | None) -> None:
    with agent(desk, pay(words), Answer("May I refund it?")) as (runner, server):
        output = runner.run(desk.context(), asked())
    assert (output.actions, desk.refunds("VH-300001")) == ([], [])
    assert "ask the user first" in str(messages(server, 1)[0])


def test_words_of_others_that_a_user_quotes_ask_for_nothing(desk: Desk) -> None:
    message = f"What does this mail mean?\n> {ASKS} for VH-300001"
    with agent(desk, pay(), Answer("Someone asks for a refund.")) as (runner, _):
        output = runner.run(desk.context(), asked(message))
    assert (output.actions, desk.refunds("VH-300001")) == ([], [])


def test_a_draft_reads_and_proposes(desk: Desk) -> None:
    with agent(desk, Answer(tool_calls=(FIND,)), pay(), Answer("I would refund it.")) as (runner, _):
        output = runner.run(desk.context(), asked(delivery="draft"))
    assert [(action.operation, action.status) for action in output.actions] == [("issue_refund", "proposed")]
    assert desk.attached.count("operations") == 0


def test_a_declined_call_is_not_made_and_the_model_is_notified(desk: Desk) -> None:
    ctx = desk.context()
    with agent(desk, Answer(tool_calls=(FIND, LOOK)), pay(), Answer("It was declined.")) as (runner, server):
        with pytest.raises(JobSuspended):
            runner.run(ctx, asked())
        ctx.answer(approved=False)
        output = runner.run(ctx.next_attempt(), asked())
        assert "declined" in str(messages(server, 2)[-1])
    assert (output.actions, desk.refunds("VH-300001")) == ([], [])


def test_limits_hold_whatever_the_model_wants(desk: Desk) -> None:
    ctx = desk.context()
    with agent(desk, pay(amount="9000.00"), Answer("No.")) as (runner, server):
        output = runner.run(ctx, asked())
        assert "tool_limit" in str(messages(server, 1)[0])
    assert [(action.status, action.code) for action in output.actions] == [("refused", "tool_limit")]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_call_happens_once_and_no_step_is_asked_twice(desk: Desk, moment: str) -> None:
    ctx, client = desk.context(), FaultyClient()
    setattr(client, moment, killed_once("issue_refund"))
    with agent(desk, pay(), Answer("Done."), client=client) as (runner, server):
        with pytest.raises(Killed):
            runner.run(ctx, asked())
        output = runner.run(ctx.next_attempt(), asked())
        assert len(server.requests) == 2
    assert [action.status for action in output.actions] == ["done"]
    assert desk.refunds("VH-300001") == ["24.30"]


def test_a_conversation_waits_for_the_user_and_ends_when_they_say_so(desk: Desk) -> None:
    ctx = desk.context()
    scripts = (Answer("Shall I refund 24.30 EUR?"), pay("Yes, do it"), Answer("Done."), Answer("Undo?"))
    payload = asked("Parcel VH-300001 came late.", converse=True)
    with agent(desk, *scripts) as (runner, _):
        for message in ("Yes, do it", None):
            with pytest.raises(JobSuspended):
                runner.run(ctx, payload)
            ctx.answer(message=message)
            ctx = ctx.next_attempt()
        output = runner.run(ctx, payload)
    assert desk.refunds("VH-300001") == ["24.30"]
    assert [each.author for each in output.conversation] == ["user", "agent", "user", "agent"]
    assert output.stopped == "ended"


def test_what_was_done_can_be_taken_back(desk: Desk) -> None:
    message = f"{LATE} No, take it back again."
    undo = Answer(tool_calls=(ToolUse("undo_last_action", {"quoted_words": "take it back again"}, id="u"),))
    with agent(desk, pay(), undo, Answer("Taken back.")) as (runner, _):
        output = runner.run(desk.context(), asked(message))
    assert [action.status for action in output.actions] == ["compensated", "done"]
    assert desk.refunds("VH-300001") == []


def test_it_is_cut_off_after_its_steps(desk: Desk) -> None:
    with agent(desk, Answer(tool_calls=(FIND,))) as (runner, _):
        output = runner.run(desk.context(), asked(max_steps=2))
    assert (output.stopped, output.steps) == ("max_steps", 2)


def test_without_a_model_that_calls_tools_it_says_so(desk: Desk) -> None:
    ctx: QuestionContext = desk.context()
    tools = desk.attached.tools
    with pytest.raises(CapabilityFailure) as refused:
        make_runner(desk.library.gateway, tools).run(ctx, asked())
    tools.client.close()
    assert (refused.value.code, refused.value.retryable) == ("model_without_tools", False)


@pytest.mark.parametrize("arguments", ["{", "[]", "null", '{"email": "\\ud83d"}', "{" * 2000])
def test_odd_arguments_are_said_to_the_model(desk: Desk, arguments: str) -> None:
    script = Answer(tool_calls=(ToolUse("find_customer", arguments, fragments=1),))
    with agent(desk, script, Answer("Sorry.")) as (runner, _):
        assert runner.run(desk.context(), asked()).reply.startswith("Sorry.")


def test_it_runs_where_the_tools_are_attached() -> None:
    assert RUN.pool == "customer_operations"
