"""Knowledge bases on a real database: what is stored, counted, found, and seen by whom."""

import random
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from math import sqrt
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.keys.principal import Principal
from core.kit.db import Database
from core.kit.errors import Conflict, NotFound, Unprocessable
from core.kit.ids import new_id
from core.kit.settings import Settings
from core.knowledge import retrieval
from core.knowledge.records import DocumentRecord, KnowledgeBase, NewChunk
from core.knowledge.service import KnowledgeService

# The planner's statistics are the whole table's: others' rows would be in them.
pytestmark = pytest.mark.own_database

SERVICE = KnowledgeService()


class World:
    """A principal with one knowledge base."""

    def __init__(self, settings: Settings) -> None:
        self.database = Database(settings, application_name="test", pool_size=3)
        self.principal = Principal(new_id(), new_id(), None, frozenset())
        with self.session() as session:
            self.base_id = SERVICE.create_base(session, self.principal, "handbook").id

    def session(self) -> AbstractContextManager[Session]:
        return self.database.tenant(self.principal.organization_id)

    def base(self) -> KnowledgeBase:
        with self.session() as session:
            return SERVICE.get_base(session, self.principal, self.base_id)

    def register(self, name: str, sha256: str = "a") -> DocumentRecord:
        with self.session() as session:
            return SERVICE.put_document(
                session,
                self.principal,
                self.base_id,
                name=name,
                content_type="text/plain",
                size_bytes=1,
                sha256=sha256,
                blob_key=f"k/{name}",
            )

    def store(self, document: DocumentRecord, chunks: Sequence[NewChunk]) -> bool:
        with self.session() as session:
            return SERVICE.store_chunks(session, self.principal, document, chunks, ingested=document.sha256, pages=None)

    def chunk_ids(self, document_id: UUID) -> dict[str, UUID]:
        with self.session() as session:
            rows = session.execute(
                text("SELECT content_hash, id FROM chunks WHERE document_id = :id"), {"id": document_id}
            )
            return {row.content_hash: row.id for row in rows}

    def statistics_are_exact(self) -> bool:
        with self.session() as session:
            counted = session.execute(
                text(
                    "SELECT term, count(*)::int FROM chunks, unnest(tsvector_to_array(lexemes)) AS term"
                    " WHERE knowledge_base_id = :base GROUP BY term"
                ),
                {"base": self.base_id},
            )
            kept = session.execute(
                text("SELECT term, chunks FROM knowledge_terms WHERE knowledge_base_id = :base"), {"base": self.base_id}
            )
            sums = session.execute(
                text("SELECT count(*), coalesce(sum(length), 0) FROM chunks WHERE knowledge_base_id = :base"),
                {"base": self.base_id},
            ).one()
            terms_agree = {tuple(row) for row in counted} == {tuple(row) for row in kept}
        base = self.base()
        return terms_agree and tuple(sums) == (base.chunk_count, base.token_count)

    def blocks_of_a_search(self) -> int:
        """Blocks of tables and indexes that one search reads, by Postgres's own count of this transaction."""
        counted = text(
            "SELECT coalesce(sum(pg_stat_get_xact_blocks_fetched(oid)), 0)::bigint FROM pg_class"
            " WHERE relkind IN ('r', 'i') AND relnamespace = 'public'::regnamespace"
        )
        base = self.base()
        with self.session() as session:
            session.execute(text("DISCARD PLANS"))
            before: int = session.execute(counted).scalar_one()
            SERVICE.search(session, base, "word1 word17 word250", unit(1, 0.5), 8)
            after: int = session.execute(counted).scalar_one()
        return after - before


@pytest.fixture
def world(settings: Settings) -> Iterator[World]:
    made = World(settings)
    yield made
    made.database.close()


def unit(*head: float) -> list[float]:
    vector = [*head, *([0.0] * (384 - len(head)))]
    length = sqrt(sum(component * component for component in vector))
    return [component / length for component in vector]


def chunk(ordinal: int, words: str, vector: Sequence[float] | None) -> NewChunk:
    return NewChunk(ordinal, None, None, 0, len(words), words, words, f"hash of {words}", vector)


TABLES = ("knowledge_bases", "documents", "chunks", "knowledge_terms")


def fill(world: World, documents: int, chunks: int) -> None:
    """Store documents of sixty random words a chunk, each the way of an ingest."""
    picker = random.Random(7)
    vocabulary = [f"word{number}" for number in range(400)]
    for number in range(documents):
        rows = [
            chunk(
                ordinal,
                " ".join(picker.choices(vocabulary, k=60)) + f" {number} {ordinal}",
                unit(*(picker.random() for _ in range(8))),
            )
            for ordinal in range(chunks)
        ]
        world.store(world.register(f"{number}.txt"), rows)
        with world.session() as session:
            SERVICE.refresh_statistics(session)


def analyze(world: World) -> None:
    with world.database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as owner:
        for table in TABLES:
            owner.execute(text(f"ANALYZE {table}"))


@pytest.mark.parametrize("beside", [0, 20])
def test_a_search_in_a_new_base_reads_no_more_than_the_base(world: World, settings: Settings, beside: int) -> None:
    """Blocks right after the ingest, and after an ANALYZE by hand; alone, and beside a base ten times as large.

    The statistics are then the large one's: that the new one exists is not in them.
    """
    if beside:
        large = World(settings)
        fill(large, documents=beside, chunks=120)
        large.database.close()
        analyze(world)
    fill(world, documents=4, chunks=60)
    at_once = world.blocks_of_a_search()
    analyze(world)
    # Of each of its chunks the row, what is stored beside it, and the way there.
    assert at_once - world.blocks_of_a_search() <= 4 * 240


def test_words_and_meaning_both_find(world: World) -> None:
    document = world.register("a.txt")
    world.store(
        document,
        [
            chunk(0, "parcels that arrive damaged are claimed within seven days", unit(1, 0)),
            chunk(1, "the canteen serves soup on Thursdays", unit(0, 1)),
            chunk(2, "drivers rest after nine hours", unit(0, 0, 1)),
        ],
    )
    with world.session() as session:
        by_word = SERVICE.search(session, world.base(), "canteen soup", unit(0, 0, 0, 1), 3)
        by_meaning = SERVICE.search(session, world.base(), "zzz", unit(0, 0, 1), 1)
    assert by_word[0].text.startswith("the canteen")
    assert by_word[0].lexical_rank == 1
    assert by_meaning[0].text.startswith("drivers")
    assert by_meaning[0].lexical_rank is None


def test_reingest_keeps_what_did_not_change_and_the_statistics(world: World) -> None:
    document = world.register("a.txt", "v1")
    world.store(document, [chunk(0, "alpha beta", unit(1)), chunk(1, "beta gamma", unit(0, 1))])
    before = world.chunk_ids(document.id)
    assert world.statistics_are_exact()
    document = world.register("a.txt", "v2")
    assert document.state == "pending"
    with world.session() as session:
        hashes = ["hash of beta gamma", "hash of delta"]
        assert SERVICE.missing_embeddings(session, document.id, hashes) == {"hash of delta"}
    assert world.store(document, [chunk(0, "beta gamma", None), chunk(1, "delta", unit(0, 0, 1))])
    after = world.chunk_ids(document.id)
    assert after["hash of beta gamma"] == before["hash of beta gamma"]
    assert set(after) == {"hash of beta gamma", "hash of delta"}
    assert world.statistics_are_exact()


def test_content_replaced_while_it_was_read_is_not_stored(world: World) -> None:
    stale = world.register("a.txt", "v1")
    world.store(stale, [chunk(0, "old words", unit(1))])
    world.register("a.txt", "v2")
    assert not world.store(stale, [chunk(0, "outdated", unit(1))])
    assert set(world.chunk_ids(stale.id)) == {"hash of old words"}


def test_deleting_and_failing_take_the_chunks_out_of_the_statistics(world: World) -> None:
    one, two = world.register("a.txt"), world.register("b.txt")
    world.store(one, [chunk(0, "alpha beta", unit(1))])
    world.store(two, [chunk(0, "beta gamma", unit(0, 1))])
    with world.session() as session:
        SERVICE.delete_document(session, world.principal, world.base_id, one.id)
        SERVICE.fail_document(session, world.principal, two, "corrupt", "cannot be read")
    assert world.base().chunk_count == 0
    assert world.statistics_are_exact()
    with world.session() as session:
        assert SERVICE.get_document(session, world.principal, world.base_id, two.id).failure_code == "corrupt"
        assert SERVICE.search(session, world.base(), "beta", unit(1), 5) == []


def test_another_project_finds_nothing(world: World, settings: Settings) -> None:
    stranger = World(settings)
    try:
        document = world.register("a.txt")
        world.store(document, [chunk(0, "secret words", unit(1))])
        [chunk_id] = world.chunk_ids(document.id).values()
        with stranger.session() as session:
            with pytest.raises(NotFound):
                SERVICE.get_base(session, stranger.principal, world.base_id)
            with pytest.raises(NotFound):
                SERVICE.delete_base(session, stranger.principal, world.base_id)
            assert SERVICE.chunks(session, stranger.principal, [chunk_id]) == []
            assert retrieval.search(session, world.base(), "secret", unit(1), 5) == []
    finally:
        stranger.database.close()


def test_names_are_unique_and_printable(world: World) -> None:
    with pytest.raises(Conflict), world.session() as session:
        SERVICE.create_base(session, world.principal, "handbook")
    for bad in ("", "   ", "a\nb", "x" * 201):
        with pytest.raises(Unprocessable), world.session() as session:
            SERVICE.create_base(session, world.principal, bad)


def test_the_index_finds_nearly_all_that_an_exact_scan_finds_beside_a_larger_neighbour(
    world: World, settings: Settings
) -> None:
    chance = random.Random(384)
    neighbour = World(settings)
    try:
        for home, count in ((world, 300), (neighbour, 1500)):
            vectors = [unit(*(chance.gauss(0, 1) for _ in range(384))) for _ in range(count)]
            home.store(home.register("a.txt"), [chunk(n, f"word{n}", vector) for n, vector in enumerate(vectors)])
        base, found, wanted = world.base(), 0, 0
        for _ in range(10):
            query = unit(*(chance.gauss(0, 1) for _ in range(384)))
            with world.session() as session:
                near = retrieval.dense_scores(session, base, query, exact=False, limit=20)
                exact = retrieval.dense_scores(session, base, query, exact=True, limit=20)
            found += len(near.keys() & exact.keys())
            wanted += len(exact)
        assert found / wanted >= 0.9
    finally:
        neighbour.database.close()


def test_the_application_refreshes_statistics_and_can_analyze_nothing_itself(world: World) -> None:
    world.store(world.register("a.txt"), [chunk(0, "one two three", unit(1))])
    with world.session() as session:
        SERVICE.refresh_statistics(session)
    with world.session() as session:
        known = session.execute(
            text("SELECT bool_and(reltuples > 0) FROM pg_class WHERE relname IN ('chunks', 'knowledge_terms')")
        ).scalar_one()
        may = session.execute(
            text(
                "SELECT has_table_privilege(current_user, 'chunks', 'TRUNCATE') OR pg_has_role(current_user,"
                " (SELECT relowner FROM pg_class WHERE oid = 'chunks'::regclass), 'USAGE')"
            )
        ).scalar_one()
    assert known
    assert not may
