"""Models behind a network read tokens, and the job reads values; nothing of a corpus of identifiers leaves."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.gateway.embeddings.minilm import load_minilm
from core.gateway.models import (
    ChatRequest,
    Chunk,
    Citation,
    Message,
    Passage,
    Question,
    Role,
    Text,
    ToolCall,
    ToolResult,
    ToolSpec,
)
from core.gateway.request_guard import Guarded
from core.gateway.routing import CHAT
from core.gateway.service import Gateway, open_gateway, open_registered_gateway
from core.guard.policy import Example, GuardPolicy, Rule
from core.guard.records import Action, Direction, EntityKind
from core.guard.rewriting import Edit, Rewritten
from core.guard.tokens import TOKEN, Token
from core.kit.data_classes import DataClass
from core.kit.errors import CapabilityFailure
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from tests.factories.attempts import Attempt, attempt
from tests.factories.calls import simulated
from tests.factories.guarded import ANNA, BEN, BLOCKING, CORPUS, TO_MODEL, guard_of, leaks
from tests.factories.jobs import Tenant, new_tenant
from tests.factories.listed_analyzer import ListedAnalyzer
from tests.factories.provider_simulator import Answer, ProviderSimulator, Recorded, Script, ToolUse
from tests.factories.registered import Registrar, write_deployments


@pytest.fixture
def tenant(settings: Settings) -> Iterator[Tenant]:
    opened = new_tenant(settings)
    yield opened
    opened.close()


def everything() -> ChatRequest:
    """A request that holds the corpus in every place that text has."""
    person, other, email, phone = CORPUS
    return ChatRequest(
        system=f"You help {person}.",
        messages=(
            Message(
                Role.USER,
                (
                    Passage("p1", f"{other} wrote from {email}.", f"Letter of {person}.pdf", section=f"For {other}"),
                    Text(f"Call {phone}, says ANNA  SCHMIDT."),
                    Question(f"Who is {other}?"),
                ),
                name=person,
            ),
            Message(
                Role.ASSISTANT,
                (Text(f"Let me see, {person}."), ToolCall("c1", "find", json.dumps({"who": other, "call": [phone]}))),
            ),
            Message(Role.TOOL, (ToolResult("c1", json.dumps({"found": [{email: person}], "number": 5})),)),
            Message(Role.TOOL, (ToolResult("c2", f"{person} is not here"),)),
        ),
        tools=(
            ToolSpec(
                "find",
                f"Finds people such as {person}",
                {"type": "object", "properties": {"who": {"type": "string", "enum": [other, "nobody"]}}},
            ),
        ),
        output_description=f"About {person}",
        stop=(f"-- {person}",),
        options={"user": email},
        max_output_tokens=200,
    )


def echo(recorded: Recorded) -> Script:
    """Says every token that the request holds, one character a delta, and calls a tool with them."""
    tokens = list(dict.fromkeys(found[0] for found in TOKEN.finditer(json.dumps(recorded.body))))
    said = "I read " + ", ".join(tokens) + " and <PERSON_99>."
    return Answer(*said, tool_calls=(ToolUse("find", {"who": tokens, "note": f"for {tokens[0]}"}),))


def ask(gateway: Gateway, driven: Attempt, request: ChatRequest) -> tuple[str, list[ToolCall]]:
    with gateway.for_job(driven.context).chat(CHAT, request) as stream:
        chunks = list(stream)
    return "".join(chunk.text for chunk in chunks), [call for chunk in chunks for call in chunk.tool_calls]


@pytest.mark.survive("P9", "S3")
def test_no_value_reaches_the_provider_and_the_answer_holds_them_again(settings: Settings, tenant: Tenant) -> None:
    with (
        ProviderSimulator(echo) as server,
        simulated(settings, main=server, guard=guard_of(settings, TO_MODEL)) as (gateway, _),
        attempt(settings, encode(JOB, tenant.submit())) as driven,
    ):
        said, [call] = ask(gateway, driven, everything())
        [sent] = [request.body for request in server.requests]
    assert leaks(sent) == []
    assert "PERSON_1" in sent["messages"][1]["name"]
    assert {value for value in CORPUS if value in said} == {BEN, "anna.schmidt@example.org", "+49 30 1234567", ANNA}
    assert said.endswith("and <PERSON_99>.")
    assert set(json.loads(call.arguments)["who"]) >= {BEN, "+49 30 1234567"}


def test_three_children_and_their_parent_use_one_token_for_a_person(settings: Settings, tenant: Tenant) -> None:
    root = tenant.submit()
    children = [tenant.submit(parent_id=root, root_id=root) for _ in range(3)]
    guard = guard_of(settings, TO_MODEL)
    with (
        ProviderSimulator(Answer("Fine.")) as server,
        simulated(settings, main=server, guard=guard) as (gateway, _),
    ):
        for number, job_id in enumerate((*children, root, tenant.submit())):
            with attempt(settings, encode(JOB, job_id)) as driven:
                names = (f"{BEN} and {ANNA}", f"{ANNA} and {BEN}")[number % 2]
                ask(gateway, driven, ChatRequest.of_parts((Text(names), Text("anna schmidt"))))
        read = [request.body["messages"][-1]["content"] for request in server.requests]
    first = "<PERSON_1> and <PERSON_2>\n\n<PERSON_2>"
    assert read[0] == read[2] == first
    assert read[1] == read[3] == "<PERSON_2> and <PERSON_1>\n\n<PERSON_2>"
    assert read[4] == first, "another tree counts for itself"


def test_a_token_that_somebody_typed_comes_back_as_it_was(settings: Settings, tenant: Tenant) -> None:
    with (
        ProviderSimulator(echo) as server,
        simulated(settings, main=server, guard=guard_of(settings, TO_MODEL)) as (gateway, _),
        attempt(settings, encode(JOB, tenant.submit())) as driven,
    ):
        typed = ChatRequest.of_parts((Text(f"Say <PERSON_1> and {ANNA} and <LITERAL_1>"),))
        said, _ = ask(gateway, driven, typed)
        assert server.requests[0].body["messages"][-1]["content"] == "Say <LITERAL_1> and <PERSON_1> and <LITERAL_2>"
        assert said == f"I read <PERSON_1>, {ANNA}, <LITERAL_1> and <PERSON_99>."
        # Where nothing is redacted, nothing is restored: not even what the tree knows.
        said, _ = ask(gateway, driven, ChatRequest.of_parts((Text("Say <PERSON_1>"),)))
    assert said == "I read <PERSON_1> and <PERSON_99>."


def test_what_is_blocked_or_cannot_be_screened_is_not_asked(settings: Settings, tenant: Tenant) -> None:
    analyzer = ListedAnalyzer(ANNA)
    with (
        ProviderSimulator(Answer("Fine.")) as server,
        simulated(settings, main=server, guard=guard_of(settings, BLOCKING, analyzer)) as (gateway, _),
        attempt(settings, encode(JOB, tenant.submit())) as driven,
    ):
        with pytest.raises(CapabilityFailure) as blocked:
            ask(gateway, driven, ChatRequest.of_parts((Text(f"{ANNA}, +49 30 1234567"),)))
        ask(gateway, driven, ChatRequest.of_parts((Text(ANNA),)))
        analyzer.kill()
        with pytest.raises(CapabilityFailure) as unavailable:
            ask(gateway, driven, ChatRequest.of_parts((Text("Hello"),)))
        assert len(server.requests) == 1
    assert (blocked.value.code, leaks(blocked.value.detail)) == ("guard_blocked", [])
    assert "phone" in blocked.value.detail
    assert unavailable.value.outage is not None
    assert unavailable.value.outage.dependency == "guard analyzer"


CLASSIFYING = GuardPolicy(
    rules=(Rule(kinds=("email",), action=Action.DETECT),), classes={EntityKind.EMAIL: DataClass.CONFIDENTIAL}
)


def asking_about(text: str) -> ChatRequest:
    return ChatRequest.of_parts((Passage("p", text, "letter.txt"), Question("What does it say?")))


def test_what_a_document_holds_raises_the_class_and_another_model_is_asked(settings: Settings, tenant: Tenant) -> None:
    with (
        ProviderSimulator(Answer("main")) as main,
        ProviderSimulator(Answer("other")) as other,
        simulated(settings, main=main, other=other, guard=guard_of(settings, CLASSIFYING)) as (gateway, simulators),
        attempt(settings, encode(JOB, tenant.submit())) as driven,
    ):
        simulators.models["main"] = replace(
            simulators.models["main"], data_class_ceiling="internal", fallbacks=("other",)
        )
        assert ask(gateway, driven, asking_about("It rains."))[0] == "main"
        assert driven.context.data_class == "internal"
        for _ in range(2):
            assert ask(gateway, driven, asking_about(f"{CORPUS[2]} wrote it."))[0] == "other"
        assert driven.context.data_class is DataClass.CONFIDENTIAL
        simulators.models["main"] = replace(simulators.models["main"], fallbacks=())
        with pytest.raises(CapabilityFailure) as refused:
            ask(gateway, driven, asking_about("It rains."))
        assert refused.value.code == "model_data_class"
        assert len(main.requests) == 1
        events = tenant.events(driven.context.job_id)
    [found] = [event.data for event in events if event.type == "guard.findings"]
    assert found == {"source": "document", "findings": {"email": {"detect": 1}}, "incomplete": False}
    [raised] = [event.data for event in events if event.type == "job.classified"]
    assert (raised["data_class"], raised["because"]) == ("confidential", "guard")


BID = "We offer the owners 48 million euros for all shares of the company, subject to due diligence."
NEXT_BID = "The shareholders were offered 51 million for the whole firm; due diligence begins in May."
COUNTER_EXAMPLE = "The firm has delivered 51 million parcels since May, and its owners thank all drivers."
BY_EXAMPLE = GuardPolicy(examples=(Example(text=BID, data_class=DataClass.CONFIDENTIAL),))


def classed(settings: Settings, tenant: Tenant, request: ChatRequest) -> tuple[str, str, list[str]]:
    """Who answered where the first model may see what is internal; the job's class, and what its events say."""
    guard = guard_of(settings, BY_EXAMPLE, embed=load_minilm().embed)
    with (
        ProviderSimulator(Answer("main")) as main,
        ProviderSimulator(Answer("other")) as other,
        simulated(settings, main=main, other=other, guard=guard) as (gateway, simulators),
        attempt(settings, encode(JOB, tenant.submit())) as driven,
    ):
        simulators.models["main"] = replace(
            simulators.models["main"], data_class_ceiling="internal", fallbacks=("other",)
        )
        said = ask(gateway, driven, request)[0]
        events = tenant.events(driven.context.job_id)
        because = [event.data["because"] for event in events if event.type == "job.classified"]
        return said, driven.context.data_class, because


def test_what_is_like_an_example_raises_the_class_before_a_model_is_chosen(settings: Settings, tenant: Tenant) -> None:
    raised = ("other", "confidential", ["guard"])
    assert classed(settings, tenant, asking_about(f"Minutes.\n\n{NEXT_BID}")) == raised
    assert classed(settings, tenant, ChatRequest.of_parts((Question(NEXT_BID),))) == raised
    tool_output = Message(Role.TOOL, (ToolResult("c", json.dumps({"note": NEXT_BID})),))
    assert classed(settings, tenant, ChatRequest(messages=(tool_output,))) == raised
    for harmless in (asking_about(COUNTER_EXAMPLE), ChatRequest.of_parts((Question(COUNTER_EXAMPLE),))):
        assert classed(settings, tenant, harmless) == ("main", "internal", [])
    written = Message(Role.ASSISTANT, (Text(NEXT_BID),))
    assert classed(settings, tenant, ChatRequest(messages=(written,))) == ("main", "internal", [])


def test_before_an_embedded_model_only_the_input_is_compared_with_examples(settings: Settings, tenant: Tenant) -> None:
    gateway = Gateway(Settings(model_base_url=None), guard=guard_of(settings, BY_EXAMPLE, embed=load_minilm().embed))
    with attempt(settings, encode(JOB, tenant.submit())) as driven:
        ask(gateway, driven, asking_about(NEXT_BID))
        gateway.for_job(driven.context).embed("embedding", [NEXT_BID])
        assert driven.context.data_class == "internal"
        ask(gateway, driven, ChatRequest.of_parts((Passage("p", "It rains.", "d"), Question(NEXT_BID))))
        assert driven.context.data_class == "confidential"
    gateway.close()


def test_texts_for_vectors_are_compared_with_examples_on_their_way_over_the_network(
    settings: Settings, tenant: Tenant, tmp_path: Path
) -> None:
    with ProviderSimulator() as server:
        own = settings.model_copy(update={"deployments_file": write_deployments(tmp_path, there=server)})
        Registrar(own, tenant).model("vectors", {"deployment": "there", "abilities": ()})
        gateway = open_registered_gateway(own, guard=guard_of(settings, BY_EXAMPLE, embed=load_minilm().embed))
        with attempt(settings, encode(JOB, tenant.submit())) as driven:
            gateway.for_job(driven.context).embed("vectors", [COUNTER_EXAMPLE])
            assert driven.context.data_class == "internal"
            with pytest.raises(CapabilityFailure) as refused:
                gateway.for_job(driven.context).embed("vectors", [COUNTER_EXAMPLE, NEXT_BID])
            assert (refused.value.code, driven.context.data_class) == ("model_data_class", "confidential")
        gateway.close()
        assert [request.body["input"] for request in server.requests] == [[COUNTER_EXAMPLE]]


def test_a_class_goes_only_to_models_in_its_regions(settings: Settings, tenant: Tenant) -> None:
    policy = GuardPolicy(
        regions={
            DataClass.INTERNAL: ("westeurope", "northeurope"),
            DataClass.CONFIDENTIAL: ("northeurope", "norwayeast"),
        }
    )
    with (
        ProviderSimulator(Answer("Fine.")) as main,
        simulated(settings, main=main, guard=guard_of(settings, policy)) as (gateway, simulators),
        attempt(settings, encode(JOB, tenant.submit())) as driven,
    ):

        def answer_or_code(*regions: str) -> str:
            simulators.models["main"] = replace(simulators.models["main"], regions=regions)
            try:
                return ask(gateway, driven, asking_about("It rains."))[0]
            except CapabilityFailure as refusal:
                return refusal.code if "northeurope" in refusal.detail else refusal.detail

        for within in ("westeurope", "westeurope northeurope"):
            assert answer_or_code(*within.split()) == "Fine."
        for beyond in ("", "eastus", "westeurope eastus"):
            assert answer_or_code(*beyond.split()) == "model_data_class"
        driven.context.raise_class(DataClass.CONFIDENTIAL, "card")
        said = [answer_or_code(region) for region in ("northeurope", "westeurope", "norwayeast")]
        assert said == ["Fine.", "model_data_class", "model_data_class"]
    assert len(main.requests) == 3


def test_an_embedded_model_reads_values_unless_they_are_blocked(settings: Settings, tenant: Tenant) -> None:
    request = ChatRequest.of_parts(
        (Passage("p", f"The parcel of {ANNA} left Hamburg on Monday.", "d"), Question("When did the parcel leave?"))
    )
    local = open_gateway(Settings(model_base_url=None))
    blocking = GuardPolicy(rules=(Rule(kinds=("person",), directions=(Direction.TO_MODEL,), action=Action.BLOCK),))
    with attempt(settings, encode(JOB, tenant.submit())) as driven:
        for policy, is_blocked in ((TO_MODEL, False), (blocking, True)):
            gateway = Gateway(Settings(model_base_url=None), guard=guard_of(settings, policy))
            if is_blocked:
                with pytest.raises(CapabilityFailure, match="person"):
                    ask(gateway, driven, request)
            else:
                assert ask(gateway, driven, request)[0] == ask(local, driven, request)[0] != ""
            gateway.close()
    local.close()


def test_a_cached_answer_holds_tokens_and_is_restored_for_who_asks(settings: Settings, tenant: Tenant) -> None:
    cached = settings.model_copy(update={"model_cache_projects": [tenant.principal.project_id]})
    with (
        ProviderSimulator(echo) as server,
        simulated(cached, main=server, guard=guard_of(settings, TO_MODEL)) as (gateway, _),
    ):
        said = []
        for name in (ANNA, BEN):
            with attempt(settings, encode(JOB, tenant.submit())) as driven:
                said.append(ask(gateway, driven, ChatRequest.of_parts((Text(f"Who is {name}?"),)))[0])
        assert len(server.requests) == 1
    assert said == [f"I read {name} and <PERSON_99>." for name in (ANNA, BEN)]


def test_texts_for_vectors_are_masked_on_their_way_over_the_network(
    settings: Settings, tenant: Tenant, tmp_path: Path
) -> None:
    with ProviderSimulator() as server:
        own = settings.model_copy(update={"deployments_file": write_deployments(tmp_path, there=server)})
        Registrar(own, tenant).model("vectors", {"deployment": "there", "abilities": ()})
        gateway = open_registered_gateway(own, guard=guard_of(settings, TO_MODEL))
        with attempt(settings, encode(JOB, tenant.submit())) as driven:
            gateway.for_job(driven.context).embed("vectors", [f"{ANNA} called {CORPUS[3]}", "nothing"])
        gateway.close()
        [sent] = [request.body["input"] for request in server.requests]
    assert sent == ["<PERSON> called <PHONE>", "nothing"]


def test_citations_point_at_the_passage_as_it_was() -> None:
    old = f"On Monday {ANNA} called. {ANNA} left."
    new = "On Monday <PERSON_1> called. <PERSON_1> left."
    second = old.index(ANNA, 20)
    edits = (Edit(10, 22, 10, 20), Edit(second, second + 12, 29, 39))
    guarded = Guarded(ChatRequest(messages=()), {Token("person", 1): "ANNA"}, {"p": (old, Rewritten(new, edits))})
    [before, chunk] = [
        *guarded.restored(Chunk("So <PERS")),
        *guarded.restored(Chunk('she "<PERSON_1> left." <PERSON_1>', (Citation("p", 29, 45),))),
    ]
    assert before.text + chunk.text == f'So <PERSshe "{ANNA} left." ANNA'
    [cited] = chunk.citations
    assert old[cited.start : cited.end] == f"{ANNA} left."


def test_values_in_json_answers_are_escaped() -> None:
    value = {Token("person", 1): 'Anna "A"\nSchmidt'}
    guarded = Guarded(ChatRequest(messages=(), output_schema={"type": "object"}), value)
    text = "".join(chunk.text for piece in '{"who": "<PERSON_1>"}' for chunk in guarded.restored(Chunk(piece)))
    assert json.loads(text) == {"who": 'Anna "A"\nSchmidt'}
    [chunk] = guarded.restored(Chunk("", (), (ToolCall("c", "f", '{"a": "<person_1>", "b": 12345678901234567890}'),)))
    assert json.loads(chunk.tool_calls[0].arguments) == {"a": 'Anna "A"\nSchmidt', "b": 12345678901234567890}
    [chunk] = guarded.restored(Chunk("", (), (ToolCall("c", "f", '{"a": "<PERSON_1>'),)))
    assert chunk.tool_calls[0].arguments == '{"a": "Anna \\"A\\"\\nSchmidt'
