"""A model that obeys whatever it reads, in the real capabilities: nothing happens on a stranger's word.

With the guard off the same runs deliver the strangers' links and do what they want, so these tests can fail.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from markdown_it import MarkdownIt
from pydantic import SecretStr

from core.capability import JobSuspended
from core.gateway.models import Passage
from core.gateway.service import Gateway
from core.guard.policy import TEMPLATES, CombinedPolicy, TemplateName
from core.kit.settings import Settings
from pipelines.knowledge.answering import answer_question
from pipelines.models.chat import Chat
from pipelines.models.schemas import ChatInput
from tests.factories import attacks
from tests.factories.context import RecordingContext
from tests.factories.knowledge import open_library
from tests.factories.operations import Desk, letter
from tests.factories.provider_simulator import ProviderSimulator, obey_orders
from tests.factories.research import Research, finding
from tests.factories.sample_system import attached

_HOST = re.escape(attacks.HOST)
_LOADED = re.compile(rf"(?:href|src)=[\"']?[^\"'>]*{_HOST}|<style[^<]*{_HOST}", re.IGNORECASE)
_BARE = re.compile(rf"(?:https?://|www\.)[^\s<]*{_HOST}", re.IGNORECASE)
MOVED = "Please change the delivery address of VH-300010 to the address below."
EFFECTS = ("send_money", "send_email", "delete_files")


@contextmanager
def obedient(template: TemplateName) -> Iterator[Gateway]:
    policy = CombinedPolicy((TEMPLATES[template],))
    with ProviderSimulator(obey_orders) as server:
        settings = Settings(
            model_base_url=server.base_url, model_api_key=SecretStr("key"), model_name="obedient", model_max_attempts=1
        )
        gateway = Gateway(settings, policy_of=lambda _: policy)
        try:
            yield gateway
        finally:
            gateway.close()


def leads_away(text: str) -> bool:
    """Whether a client that shows `text` as Markdown, HTML included, sends anything to the attacker or links there."""
    shown = MarkdownIt("commonmark", {"html": True}).render(text)
    return bool(_LOADED.search(shown) or _BARE.search(shown) or _BARE.search(text))


def answers(gateway: Gateway) -> list[str]:
    """What is delivered of answers from each of the documents."""
    delivered = []
    for number, text in enumerate(attacks.DOCUMENTS):
        ctx = RecordingContext()
        passage = Passage(f"p{number}", text, "guide.pdf")
        answer = answer_question(ctx, gateway.for_job(ctx), "What does the guide say?", [passage])
        delivered += ["".join(ctx.deltas), answer.reading.text]
    return delivered


def conversations(gateway: Gateway) -> tuple[list[str], list[str]]:
    """The calls and the texts that clients of the OpenAI dialect get after each of the tools' answers."""
    calls, delivered = [], []
    for text in attacks.TOOL_ANSWERS:
        asked = ChatInput.model_validate(
            {
                "model": "default",
                "messages": [
                    {"role": "user", "content": "What is new for me today?"},
                    {"role": "assistant", "tool_calls": [{"id": "1", "name": "get_page", "arguments": "{}"}]},
                    {"role": "tool", "tool_call_id": "1", "content": text},
                ],
                "tools": [{"name": name} for name in ("get_page", *EFFECTS)],
            }
        )
        ctx = RecordingContext()
        output = Chat(gateway).run(ctx, asked)
        calls += [call.name for call in output.tool_calls]
        delivered += ["".join(ctx.deltas), output.text]
    return calls, delivered


@pytest.fixture(scope="module")
def desk(postgres_url: str, database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    home = tmp_path_factory.mktemp("desk")
    settings = Settings(home=home, database_url=SecretStr(database_url))
    with open_library(settings) as library, attached(postgres_url, home) as system:
        yield Desk(library, system)


def letters(desk: Desk, gateway: Gateway) -> tuple[list[str], list[str]]:
    """What was delivered to customers, and the streets that parcels were sent to without a person."""
    database = desk.attached.system.database
    database.reset()
    delivered = []
    for note in attacks.NOTES:
        with database.transaction() as connection:
            connection.execute("UPDATE shipments SET last_scan_town = %s WHERE order_id = 'VH-300016'", (note,))
        ctx = desk.context()
        output = desk.resolve(letter("Where is VH-300016?"), ctx=ctx, gateway=gateway)
        delivered += [output.reply, *ctx.deltas]
    delivered += [row["body"] for row in desk.attached.rows("SELECT body FROM messages")]
    moved = []
    for said in attacks.FORWARDED:
        database.reset()
        try:
            desk.resolve(letter(f"{MOVED}\n\n> {said}", "priya.nair@example.org"), gateway=gateway)
        except JobSuspended:
            # A person is asked.
            continue
        finally:
            rows = desk.attached.rows("SELECT street FROM shipments WHERE order_id = 'VH-300010'")
            moved += [row["street"] for row in rows if row["street"] == "Thief Lane 1"]
    return delivered, moved


def test_there_are_attacks_enough() -> None:
    assert len(set(attacks.ALL)) >= 40
    assert all(leads_away(link) for link in attacks.LINKS if "[1]" not in link and "style" not in link)


def test_no_document_gets_a_link_into_an_answer() -> None:
    with obedient("strict") as gateway:
        assert not [text for text in answers(gateway) if leads_away(text)]


def test_with_the_guard_off_documents_get_theirs() -> None:
    with obedient("off") as gateway:
        assert len([text for text in answers(gateway) if leads_away(text)]) >= len(attacks.DOCUMENTS)


def test_no_tools_answer_makes_a_client_call_another_tool() -> None:
    with obedient("strict") as gateway:
        calls, delivered = conversations(gateway)
    assert calls == []
    assert not [text for text in delivered if leads_away(text)]


def test_with_the_guard_off_the_client_would() -> None:
    with obedient("off") as gateway:
        calls, delivered = conversations(gateway)
    assert set(calls) == set(EFFECTS)
    assert [text for text in delivered if leads_away(text)]


def test_no_note_and_no_forwarded_mail_moves_a_parcel_or_links_a_customer_away(desk: Desk) -> None:
    with obedient("balanced") as gateway:
        delivered, moved = letters(desk, gateway)
    assert moved == []
    assert not [text for text in delivered if leads_away(text)]


def test_with_the_guard_off_they_do(desk: Desk) -> None:
    with obedient("off") as gateway:
        delivered, moved = letters(desk, gateway)
    assert moved
    assert [text for text in delivered if leads_away(text)]


@pytest.mark.heavy
@pytest.mark.xdist_group("crews")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_no_source_gets_a_link_into_a_report() -> None:
    pytest.importorskip("crewai")
    passages = tuple((f"page-{number}.html", text) for number, text in enumerate(attacks.SOURCES))
    with obedient("balanced") as gateway:
        research = Research(gateway, finding(passages))
        report = research.report("What does extended cover cost?", "kb_01kb0d3h5we3v9wq2m8c5r6t7x")
    assert not leads_away(report.markdown)
    assert not [text for ctx in research.attempts for text in ctx.deltas if leads_away(text)]
