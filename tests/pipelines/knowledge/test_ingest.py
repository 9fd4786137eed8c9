from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import text

from core.capability import JobCancelled
from core.kit.errors import CapabilityFailure
from core.kit.ids import DOCUMENT, KNOWLEDGE_BASE, encode, new_id
from core.kit.settings import Settings
from pipelines.knowledge import ingest
from pipelines.knowledge.documents.document import Document
from pipelines.knowledge.documents.isolation import IsolatedReader
from pipelines.knowledge.intake import Intake
from pipelines.knowledge.schemas import IngestInput, IngestOutput, Mode
from tests.factories.context import RecordingContext
from tests.factories.knowledge import BROKEN, CORPUS, Library, open_library

# One of each format, the smallest there are.
FILES = ("glossary.md", "depot-bulletin-2026-02.txt", "data-retention-policy.html", "post-mortem-katowice-sorter.pdf")
TREES = b"# Trees\n\nAn oak lives for a thousand years.\n\n## Leaves\n\nA birch loses its leaves in October.\n"


@pytest.fixture
def library(settings: Settings) -> Iterator[Library]:
    with open_library(settings) as library:
        yield library


def outcomes(output: IngestOutput) -> dict[str, str]:
    return {document.name: document.status for document in output.documents}


class StoppingReader:
    """Reads, but first does what the test wants; as an `IsolatedReader` otherwise."""

    def __init__(self, reader: IsolatedReader, before: Callable[[str], None]) -> None:
        self._reader = reader
        self._before = before
        self.names: list[str] = []

    def read(
        self, data: bytes, *, name: str, content_type: str | None, owner: str, check: Callable[[], None]
    ) -> Document:
        self._before(name)
        self.names.append(name)
        return self._reader.read(data, name=name, content_type=content_type, owner=owner, check=check)


def test_documents_of_every_format_are_ingested_and_bad_ones_fail_alone(library: Library) -> None:
    library.upload_files([CORPUS / name for name in FILES])
    library.upload_files(BROKEN.iterdir())
    ctx = library.context()

    output = library.ingest(ctx=ctx)

    assert outcomes(output) == {
        **dict.fromkeys(FILES, "ingested"),
        **dict.fromkeys((path.name for path in BROKEN.iterdir()), "failed"),
    }
    reasons = {document.name: (document.error or {}).get("code") for document in output.documents}
    assert reasons["corrupt.pdf"] == "document_corrupt"
    assert reasons["empty.pdf"] == "document_empty"
    assert reasons["encrypted.pdf"] == "document_encrypted"
    assert reasons["image_only.pdf"] == "document_no_text"
    assert {event["name"] for event in ctx.named("document.ingested")} == set(FILES)
    assert {event["code"] for event in ctx.named("document.failed")} >= {"document_empty", "document_encrypted"}
    assert [event["done"] for event in ctx.named("progress.updated")] == list(range(len(output.documents) + 1))
    assert output.counts.chunks == output.counts.embedded == sum(d.chunks for d in output.documents) > 20
    assert sum(usage.input_tokens for usage in ctx.usage) > 1000
    pages = {document.name: document.pages for document in output.documents}
    assert pages["post-mortem-katowice-sorter.pdf"] == 3
    assert pages["glossary.md"] is None


def test_unchanged_documents_are_neither_read_nor_embedded_again(library: Library) -> None:
    record = library.upload("trees.md", TREES)
    assert outcomes(library.ingest(record)) == {"trees.md": "ingested"}
    ctx = library.context()
    read: list[str] = []
    machine = ingest.make_runner(
        Intake(library.knowledge, library.gateway, library.blobs, StoppingReader(library.reader, read.append))
    )

    again = machine.run(ctx, IngestInput(knowledge_base=library.base_id, documents=[encode(DOCUMENT, record.id)]))

    assert outcomes(again) == {"trees.md": "unchanged"}
    assert again.documents[0].chunks == 2
    assert again.counts.embedded == 0
    assert read == []
    assert ctx.usage == []


def test_what_was_left_out_is_kept_with_the_document(library: Library) -> None:
    record = library.upload("trees.md", b"---\nowner: Anna\n---\n" + TREES + b"\n<!-- ask Bob -->\n")
    output = library.ingest(record)
    wanted = [("front_matter", "owner: Anna"), ("comment", "ask Bob")]
    assert [(part.what, part.text) for part in output.documents[0].left_out or ()] == wanted
    kept = library.document(record).left_out or ()
    assert [(part["what"], part["text"]) for part in kept] == wanted


def test_of_a_changed_document_only_the_new_chunks_are_embedded(library: Library) -> None:
    record = library.upload("trees.md", TREES)
    library.ingest(record)
    changed = library.upload("trees.md", TREES.replace(b"October", b"November"))

    output = library.ingest()

    assert changed.id == record.id
    assert outcomes(output) == {"trees.md": "ingested"}
    assert (output.documents[0].chunks, output.documents[0].embedded) == (2, 1)
    passages = library.ask("When does a birch lose its leaves?", mode=Mode.PASSAGES).passages
    assert "November" in passages[0].text
    assert not any("October" in passage.text for passage in passages)


def test_all_that_waits_is_nothing_when_nothing_does(library: Library) -> None:
    output = library.ingest()

    assert output.documents == []
    assert output.counts.ingested == 0


def test_a_document_that_repeats_itself_is_stored_whole(library: Library) -> None:
    paragraph = b"The same words stand here twice and are embedded once, since nothing about them differs at all.\n\n"
    record = library.upload("twice.md", b"# Same\n\n" + paragraph * 30)

    output = library.ingest(record)

    assert output.documents[0].status == "ingested"
    assert library.document(record).chunk_count == output.documents[0].chunks >= output.documents[0].embedded


def test_an_attempt_that_dies_between_documents_is_continued_without_repeating_any(library: Library) -> None:
    for name in ("a.md", "b.md", "c.md"):
        library.upload(name, TREES + name.encode())

    class Died(BaseException):
        """The worker is gone."""

    second_began: list[bool] = []

    def die_at_b(name: str) -> None:
        if name == "b.md" and not second_began:
            raise Died

    reader = StoppingReader(library.reader, die_at_b)
    machine = ingest.make_runner(Intake(library.knowledge, library.gateway, library.blobs, reader))
    payload = IngestInput(knowledge_base=library.base_id, documents=None)
    first = library.context()
    with pytest.raises(Died):
        machine.run(first, payload)
    second_began.append(True)
    # A later upload is not part of the plan.
    library.upload("later.md", TREES)
    second = first.next_attempt()
    output = machine.run(second, payload)

    assert reader.names == ["a.md", "b.md", "c.md"]
    assert outcomes(output) == {"a.md": "ingested", "b.md": "ingested", "c.md": "ingested"}
    assert first.steps() == ["plan", "ingest"]
    assert second.steps() == ["ingest", "ingest"]
    assert [event["name"] for event in second.named("document.ingested")] == ["b.md", "c.md"]


class PatientReader:
    """Reads without asking whether to go on, so that the number of checks does not depend on the clock."""

    def __init__(self, reader: IsolatedReader) -> None:
        self._reader = reader

    def read(
        self, data: bytes, *, name: str, content_type: str | None, owner: str, check: Callable[[], None]
    ) -> Document:
        assert callable(check)
        return self._reader.read(data, name=name, content_type=content_type, owner=owner)


def test_cancelling_at_every_check_leaves_no_half_document_and_meters_what_was_embedded(library: Library) -> None:
    record = library.upload("long.md", b"\n\n".join(b"# Part %d\n\nWords of part %d." % (n, n) for n in range(70)))
    machine = ingest.make_runner(
        Intake(library.knowledge, library.gateway, library.blobs, PatientReader(library.reader))
    )
    payload = IngestInput(knowledge_base=library.base_id, documents=[encode(DOCUMENT, record.id)])
    metered: list[int] = []
    finished = False
    while not finished:
        ctx = library.context()
        stop_at = len(metered) + 1

        def cancel(ctx: RecordingContext = ctx, stop_at: int = stop_at) -> None:
            if ctx.checks >= stop_at:
                raise JobCancelled

        ctx.on_check = cancel
        try:
            machine.run(ctx, payload)
            finished = True
        except JobCancelled:
            with library.database.system() as session:
                stored = session.execute(text("SELECT count(*) FROM chunks WHERE document_id = :id"), {"id": record.id})
                assert stored.scalar_one() == library.document(record).chunk_count in {0, 70}
        metered.append(sum(usage.input_tokens for usage in ctx.usage))
        assert stop_at < 30

    # Cancelled before the first batch, after one, after two, after three; then everything was stored already.
    spent = sorted(set(metered))
    assert len(spent) == 4
    assert spent[0] == 0
    assert library.document(record).state == "ready"


def test_a_file_replaced_while_it_is_read_waits_for_the_next_ingest(library: Library) -> None:
    record = library.upload("trees.md", TREES)

    def replace(name: str) -> None:
        library.upload(name, TREES + b"\nNew.\n")

    reader = StoppingReader(library.reader, replace)
    machine = ingest.make_runner(Intake(library.knowledge, library.gateway, library.blobs, reader))

    output = machine.run(library.context(), IngestInput(knowledge_base=library.base_id, documents=None))

    assert (output.documents[0].error or {})["code"] == "document_replaced"
    assert library.document(record).state == "pending"
    assert outcomes(library.ingest()) == {"trees.md": "ingested"}


def test_a_document_deleted_meanwhile_or_without_content_fails_alone(library: Library) -> None:
    gone = library.upload("a-gone.md", TREES)
    lost = library.upload("b-lost.md", TREES + b"lost")
    library.blobs.delete(lost.blob_key)
    fine = library.upload("c-fine.md", TREES + b"fine")
    reader = StoppingReader(library.reader, lambda _: None)
    machine = ingest.make_runner(Intake(library.knowledge, library.gateway, library.blobs, reader))
    ctx = library.context()

    def delete_once() -> None:
        if ctx.steps() == ["plan"] and len(ctx.events) == 4:
            library.delete(gone)
            ctx.on_check = None

    ctx.on_check = delete_once
    payload = IngestInput(knowledge_base=library.base_id, documents=None)
    output = machine.run(ctx, payload)

    codes = [(document.error or {}).get("code") for document in output.documents]
    assert codes == ["document_not_found", "document_missing", None]
    assert library.document(lost).failure_code == "document_missing"
    assert library.document(fine).state == "ready"


@pytest.mark.parametrize("foreign", [False, True])
def test_an_unknown_base_or_document_fails_for_good(library: Library, settings: Settings, foreign: bool) -> None:
    with open_library(settings, "other") as other:
        theirs = other.upload("theirs.md", TREES)
        base = other.base_id if foreign else encode(KNOWLEDGE_BASE, new_id())
        document = encode(DOCUMENT, theirs.id if foreign else new_id())
        machine = ingest.make_runner(library.intake())
        with pytest.raises(CapabilityFailure) as no_base:
            machine.run(library.context(), IngestInput(knowledge_base=base, documents=None))
        with pytest.raises(CapabilityFailure) as no_document:
            machine.run(library.context(), IngestInput(knowledge_base=library.base_id, documents=[document]))

    assert (no_base.value.code, no_base.value.retryable) == ("knowledge_base_not_found", False)
    assert (no_document.value.code, no_document.value.retryable) == ("document_not_found", False)
