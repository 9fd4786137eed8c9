import re
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from pydantic import SecretStr, ValidationError

from core.capability import JobCancelled
from core.gateway.errors import ProviderUnavailable
from core.gateway.service import Gateway, open_gateway
from core.kit.errors import CapabilityFailure
from core.kit.ids import KNOWLEDGE_BASE, encode, new_id
from core.kit.settings import Settings
from pipelines.knowledge import search
from pipelines.knowledge.documents.chunks import split_document
from pipelines.knowledge.documents.readers import read
from pipelines.knowledge.schemas import Mode, NoAnswer, SearchInput, SearchOutput
from pipelines.knowledge.search import NOTHING_FOUND, NOTHING_VERIFIED
from tests.factories.context import RecordingContext
from tests.factories.knowledge import CORPUS, Library, open_library
from tests.factories.provider_simulator import Answer, Failure, ProviderSimulator

FILES = ("api-integration-guide.md", "glossary.md", "data-retention-policy.html", "post-mortem-katowice-sorter.pdf")
KEYS = "How long does the API remember an idempotency key?"
SAID = "We remember the key for 48 hours"


@pytest.fixture(scope="module")
def library(database_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Library]:
    settings = Settings(home=tmp_path_factory.mktemp("home"), database_url=SecretStr(database_url))
    with open_library(settings) as library:
        library.upload_files([CORPUS / name for name in FILES])
        library.ingest()
        yield library


@contextmanager
def writing(*scripts: Answer | Failure) -> Iterator[tuple[Gateway, ProviderSimulator]]:
    with ProviderSimulator(*scripts) as server:
        gateway = open_gateway(
            Settings(model_base_url=server.base_url, model_api_key=SecretStr("key"), model_name="writer")
        )
        try:
            yield gateway, server
        finally:
            gateway.close()


def assert_citations_hold(output: SearchOutput) -> None:
    """Every marker has its citation and every citation its marker, its passage, and its words in the file itself."""
    markers = {int(number) for number in re.findall(r" \[(\d+)\]", output.answer or "")}
    assert markers == set(range(1, len(output.citations) + 1))
    passages = {passage.id: passage for passage in output.passages}
    for cited in output.citations:
        passage = passages[cited.passage]
        assert passage.text[cited.start - passage.start : cited.end - passage.start] == cited.quote
        document = read((CORPUS / cited.document).read_bytes(), name=cited.document)
        assert document.text[cited.start : cited.end] == cited.quote
        assert cited.document_id == passage.document_id


def test_an_answer_is_streamed_with_quotes_that_stand_in_the_documents(library: Library) -> None:
    ctx = library.context()

    output = library.ask(KEYS, ctx=ctx)

    assert output.answered
    assert output.no_answer is None
    assert SAID in (output.answer or "")
    assert output.answer == "".join(ctx.deltas)
    assert output.citations[0].document == "api-integration-guide.md"
    assert (
        output.citations[0].section
        == "Customer API, version 2: Integration Guide > 3. Creating a shipment > 3.1 Idempotency"
    )
    assert output.model == "local/extractive"
    assert output.confidence == output.citations[0].confidence
    assert output.confidence is not None
    assert_citations_hold(output)
    assert ctx.steps() == ["retrieve", "answer", "verify"]
    assert [usage.model for usage in ctx.usage] == ["local/all-MiniLM-L6-v2-int8", "local/extractive"]


def test_a_quote_from_a_file_with_pages_names_its_page(library: Library) -> None:
    output = library.ask("How many parcels missed their linehaul departure?")

    assert output.answered
    cited = output.citations[0]
    assert cited.document == "post-mortem-katowice-sorter.pdf"
    assert cited.page == read((CORPUS / cited.document).read_bytes(), name=cited.document).page_at(cited.start)
    assert cited.page in {1, 2, 3}
    assert_citations_hold(output)


def test_a_quote_behind_a_page_break_inside_its_passage_names_the_page_it_stands_on(
    library: Library, settings: Settings
) -> None:
    """Every sentence of every passage that runs over a page, asked for as a quote."""
    name = "dangerous-goods-guide.pdf"
    document = read((CORPUS / name).read_bytes(), name=name)
    crossing = [chunk for chunk in split_document(document) if chunk.page != chunk.page_end]
    assert crossing, "the sample has no passage over a page break; choose another"
    with open_library(settings, "paged") as paged:
        paged.ingest(*paged.upload_files([CORPUS / name]))
        for chunk in crossing:
            words = " ".join(chunk.text.split()[-8:])
            with writing(Answer(f"It says so.<quote>{words}</quote>")) as (gateway, _):
                output = paged.ask(chunk.text[:300], gateway=gateway)
            cited = output.citations[0]
            assert document.page_at(cited.start) == cited.page == chunk.page_end
            assert_citations_hold(output)


def test_what_the_documents_do_not_say_is_not_answered(library: Library) -> None:
    output = library.ask("Who won the chess world championship in 1972?")

    assert not output.answered
    assert output.no_answer is NoAnswer.NOT_IN_DOCUMENTS
    assert output.citations == []
    assert output.confidence is None
    assert output.answer


def test_mode_passages_retrieves_and_asks_no_model(library: Library) -> None:
    ctx = library.context()

    output = library.ask("idempotency key", mode=Mode.PASSAGES, limit=3, ctx=ctx)

    assert output.answer is None
    assert not output.answered
    assert output.no_answer is None
    assert output.model is None
    assert len(output.passages) == 3
    assert SAID in output.passages[0].text
    assert [passage.score for passage in output.passages] == sorted(
        (passage.score for passage in output.passages), reverse=True
    )
    assert ctx.steps() == ["retrieve"]
    assert ctx.deltas == []


def test_an_empty_base_has_nothing_to_answer_from(library: Library, settings: Settings) -> None:
    with open_library(settings, "empty") as empty:
        ctx = empty.context()
        output = empty.ask(KEYS, ctx=ctx)

    assert output.answer == "".join(ctx.deltas) == NOTHING_FOUND
    assert output.no_answer is NoAnswer.NOTHING_FOUND
    assert output.passages == []
    assert output.model is None


def test_a_writing_model_reads_the_passages_and_its_quotes_are_verified(library: Library) -> None:
    answer = (
        'It is remembered for 48 hours.<quote source="1">We remember the key for 48 hours</quote>'
        ' Later it is forgotten.<quote source="1">it is forgotten after 48 hours</quote>'
    )
    ctx = library.context()
    with writing(Answer(*re.findall(r".{1,7}", answer), usage=(900, 40))) as (gateway, server):
        output = library.ask(KEYS, ctx=ctx, gateway=gateway)

    assert output.answer == "".join(ctx.deltas) == "It is remembered for 48 hours. [1] Later it is forgotten."
    assert output.answered
    assert output.dropped_quotes == 1
    assert output.citations[0].quote == SAID
    assert output.model == "writer"
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", output.prompt or "")
    assert_citations_hold(output)
    prompt = server.requests[0].body["messages"][1]["content"]
    unmarked = re.sub(r"^[0-9a-f]{8}\| ", "", prompt, flags=re.MULTILINE)
    assert all(passage.text in unmarked for passage in output.passages)


def test_an_answer_without_a_true_quote_is_not_passed_off_as_one(library: Library) -> None:
    ctx = library.context()
    with writing(Answer('A week.<quote source="1">the key for a week</quote>')) as (gateway, _):
        output = library.ask(KEYS, ctx=ctx, gateway=gateway)

    assert output.answer == "".join(ctx.deltas) == f"A week.{NOTHING_VERIFIED}"
    assert not output.answered
    assert output.no_answer is NoAnswer.NOT_VERIFIED
    assert output.dropped_quotes == 1


@pytest.mark.parametrize(
    ("said", "missing"),
    [
        ("It is remembered for 48 hours.<quote>We remember the key for 48 hours</quote>", None),
        ("1. Forty-eight hours, 48 in all.<quote>We remember the key for 48 hours</quote>", None),
        ("It is remembered for 72 hours.<quote>We remember the key for 48 hours</quote>", "72"),
        ("For 48 hours.<quote>We remember the key for 48 hours</quote> So 5 days, or 2,880 minutes.", "5, 2,880"),
    ],
)
def test_a_figure_that_its_quotes_do_not_hold_is_not_passed_off_as_proven(
    library: Library, said: str, missing: str | None
) -> None:
    ctx = library.context()
    with writing(Answer(said)) as (gateway, _):
        output = library.ask(KEYS, ctx=ctx, gateway=gateway)
    assert output.answer == "".join(ctx.deltas)
    assert output.answered is (missing is None)
    assert output.no_answer is (None if missing is None else NoAnswer.NOT_SUPPORTED)
    if missing:
        assert (output.answer or "").endswith(f"do not rely on them: {missing}.")
        assert output.confidence is None
    assert_citations_hold(output)


def test_a_quote_whose_document_vanished_before_verification_is_left_out(settings: Settings) -> None:
    with open_library(settings, "vanishing") as library:
        kept = library.upload("kept.md", b"# Oaks\n\nAn oak lives for a thousand years.\n")
        gone = library.upload("gone.md", b"# Birches\n\nA birch loses its leaves in October.\n")
        library.ingest(kept, gone)
        ctx = library.context()

        def delete_before_verifying() -> None:
            if ctx.steps() == ["retrieve", "answer"]:
                ctx.on_check = None
                library.delete(gone)

        ctx.on_check = delete_before_verifying
        said = (
            "Birches lose them in autumn.<quote>loses its leaves in October</quote>"
            " Oaks grow old.<quote>lives for a thousand years</quote>"
        )
        with writing(Answer(said)) as (gateway, _):
            output = library.ask(
                "How old do oaks get, and when do birches lose their leaves?", ctx=ctx, gateway=gateway
            )

    assert output.answer == "Birches lose them in autumn. Oaks grow old. [1]"
    assert [quote.quote for quote in output.citations] == ["lives for a thousand years"]
    assert output.dropped_quotes == 1
    assert output.answered


def test_a_provider_that_fails_is_asked_again_by_the_next_attempt_without_retrieving_again(library: Library) -> None:
    payload = SearchInput(knowledge_base=library.base_id, query=KEYS)
    first = library.context()
    with writing(*[Failure(status=503)] * 3, Answer('Two days.<quote source="1">for 48 hours</quote>')) as (gateway, _):
        machine = search.make_runner(gateway, library.knowledge, library.blobs)
        with pytest.raises(ProviderUnavailable):
            machine.run(first, payload)
        second = first.next_attempt()
        output = machine.run(second, payload)

    assert output.answer == "Two days. [1]"
    assert first.steps() == ["retrieve"]
    assert second.steps() == ["answer", "verify"]


def test_an_answer_that_was_paid_for_is_shown_again_and_not_asked_for_again(library: Library) -> None:
    payload = SearchInput(knowledge_base=library.base_id, query=KEYS)
    first = library.context()

    class Died(BaseException):
        """The worker is gone."""

    def die_before_verifying() -> None:
        if first.steps() == ["retrieve", "answer"]:
            raise Died

    first.on_check = die_before_verifying
    with writing(Answer('Two days.<quote source="1">for 48 hours</quote>')) as (gateway, server):
        machine = search.make_runner(gateway, library.knowledge, library.blobs)
        with pytest.raises(Died):
            machine.run(first, payload)
        second = first.next_attempt()
        output = machine.run(second, payload)

    assert len(server.requests) == 1
    assert "".join(second.deltas) == output.answer == "Two days. [1]"
    assert second.usage == []


def test_cancelling_at_every_check_stops_the_job_there(library: Library) -> None:
    checks = 0
    finished = False
    while not finished:
        checks += 1
        ctx = library.context()

        def cancel(ctx: RecordingContext = ctx, stop_at: int = checks) -> None:
            if ctx.checks >= stop_at:
                raise JobCancelled

        ctx.on_check = cancel
        try:
            library.ask(KEYS, ctx=ctx)
            finished = True
        except JobCancelled:
            assert ctx.checks == checks
        assert checks < 60

    assert checks > 10


@pytest.mark.parametrize("foreign", [False, True])
def test_a_base_of_no_one_or_of_another_project_does_not_exist(
    library: Library, settings: Settings, foreign: bool
) -> None:
    with open_library(settings, "other") as other:
        base = other.base_id if foreign else encode(KNOWLEDGE_BASE, new_id())
        with pytest.raises(CapabilityFailure) as failure:
            search.make_runner(library.gateway, library.knowledge, library.blobs).run(
                library.context(), SearchInput(knowledge_base=base, query=KEYS)
            )

    assert (failure.value.code, failure.value.retryable) == ("knowledge_base_not_found", False)


def test_a_base_embedded_with_another_model_is_refused(library: Library) -> None:
    with library.database.tenant(library.principal.organization_id) as session:
        base = library.knowledge.create_base(session, library.principal, "foreign vectors", "", "someone/else")
    with pytest.raises(CapabilityFailure) as failure:
        search.make_runner(library.gateway, library.knowledge, library.blobs).run(
            library.context(), SearchInput(knowledge_base=encode(KNOWLEDGE_BASE, base.id), query=KEYS)
        )

    assert failure.value.code == "embedding_model_mismatch"


@pytest.mark.parametrize(
    "wrong",
    [
        {"knowledge_base": "kb_1"},
        {"knowledge_base": encode("doc", UUID(int=7 << 76))},
        {"query": ""},
        {"query": " \n "},
        {"query": "a\x00b"},
        {"query": "x" * 2001},
        {"limit": 0},
        {"limit": 51},
        {"mode": "poem"},
        {"temperature": 1},
    ],
    ids=str,
)
def test_input_that_makes_no_sense_is_refused_by_the_schema(wrong: dict[str, object]) -> None:
    right = {"knowledge_base": encode(KNOWLEDGE_BASE, new_id()), "query": "why"}
    SearchInput.model_validate(right)

    with pytest.raises(ValidationError):
        SearchInput.model_validate({**right, **wrong})
