"""Documents in and out of a knowledge base on a real database, as the application's role."""

import hashlib
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from pydantic import SecretStr
from sqlalchemy import text
from sqlalchemy.orm import Session

from core.keys.principal import Principal
from core.kit.db import Database
from core.kit.errors import NotFound
from core.kit.ids import new_id
from core.kit.settings import Settings
from core.knowledge.records import DocumentRecord, KnowledgeBase, NewChunk
from core.knowledge.service import KnowledgeService

KNOWLEDGE = KnowledgeService()


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    opened = Database(Settings(database_url=SecretStr(database_url)), application_name="test", pool_size=2)
    yield opened
    opened.close()


@pytest.fixture
def principal() -> Principal:
    return Principal(new_id(), new_id(), None, frozenset())


def vector_of(words: str) -> list[float]:
    seed = int.from_bytes(hashlib.sha256(words.encode()).digest()[:8])
    drawn = np.random.default_rng(seed).normal(size=384)
    return [float(component) for component in drawn / np.linalg.norm(drawn)]


def chunk(ordinal: int, words: str, *, embedded: bool = True) -> NewChunk:
    return NewChunk(
        ordinal=ordinal,
        page=None,
        section=None,
        char_start=0,
        char_end=len(words),
        text=words,
        searched=words,
        content_hash=hashlib.sha256(words.encode()).hexdigest(),
        embedding=vector_of(words) if embedded else None,
    )


def put(session: Session, principal: Principal, base: KnowledgeBase, name: str, content: str) -> DocumentRecord:
    return KNOWLEDGE.put_document(
        session,
        principal,
        base.id,
        name=name,
        content_type="text/plain",
        size_bytes=len(content),
        sha256=hashlib.sha256(content.encode()).hexdigest(),
        blob_key=name,
    )


def store(session: Session, principal: Principal, document: DocumentRecord, chunks: Sequence[NewChunk]) -> None:
    assert KNOWLEDGE.store_chunks(session, principal, document, chunks, ingested="test", pages=None)


def statistics(session: Session, base: KnowledgeBase) -> tuple[int, int, dict[str, int]]:
    sums = session.execute(
        text("SELECT chunk_count, token_count FROM knowledge_bases WHERE id = :base"), {"base": base.id}
    ).one()
    terms = session.execute(
        text("SELECT term, chunks FROM knowledge_terms WHERE knowledge_base_id = :base"), {"base": base.id}
    )
    return sums.chunk_count, sums.token_count, {row.term: row.chunks for row in terms}


def test_statistics_stay_exact_through_replacing_and_deleting(database: Database, principal: Principal) -> None:
    with database.tenant(principal.organization_id) as session:
        base = KNOWLEDGE.create_base(session, principal, "exact")
        first, second = put(session, principal, base, "one", "1"), put(session, principal, base, "two", "2")
        store(session, principal, first, [chunk(0, "red apples apples"), chunk(1, "green pears")])
        store(session, principal, second, [chunk(0, "red wine")])
        assert statistics(session, base) == (3, 7, {"red": 2, "appl": 1, "green": 1, "pear": 1, "wine": 1})
        store(session, principal, first, [chunk(0, "green pears", embedded=False), chunk(1, "blue plums")])
        assert statistics(session, base) == (3, 6, {"red": 1, "wine": 1, "green": 1, "pear": 1, "blue": 1, "plum": 1})
        KNOWLEDGE.delete_document(session, principal, base.id, first.id)
        assert statistics(session, base) == (1, 2, {"red": 1, "wine": 1})


def test_an_unchanged_chunk_keeps_its_id_and_is_not_embedded_again(database: Database, principal: Principal) -> None:
    with database.tenant(principal.organization_id) as session:
        base = KNOWLEDGE.create_base(session, principal, "kept")
        document = put(session, principal, base, "one", "1")
        old = [chunk(0, "stays as it is"), chunk(1, "goes away")]
        store(session, principal, document, old)
        before = {passage.text: passage.chunk_id for passage in found(session, principal, base, "stays")}
        new = [chunk(0, "comes anew"), chunk(1, "stays as it is", embedded=False)]
        missing = KNOWLEDGE.missing_embeddings(session, document.id, [each.content_hash for each in new])
        assert missing == {new[0].content_hash}
        store(session, principal, document, new)
        after = {passage.text: passage.chunk_id for passage in found(session, principal, base, "stays")}
        assert set(after) == {"comes anew", "stays as it is"}
        assert after["stays as it is"] == before["stays as it is"]


def test_a_failed_replacement_leaves_the_old_chunks(database: Database, principal: Principal) -> None:
    with database.tenant(principal.organization_id) as session:
        base = KNOWLEDGE.create_base(session, principal, "atomic")
        document = put(session, principal, base, "one", "1")
        store(session, principal, document, [chunk(0, "old words")])
    broken = NewChunk(0, None, None, 0, 1, "x", "x", "hash", [1.0])
    with pytest.raises(Exception, match="384"), database.tenant(principal.organization_id) as session:
        store(session, principal, document, [broken])
    with database.tenant(principal.organization_id) as session:
        base = KNOWLEDGE.get_base(session, principal, base.id)
        assert [passage.text for passage in found(session, principal, base, "old")] == ["old words"]
        assert statistics(session, base) == (1, 2, {"old": 1, "word": 1})


def test_chunks_of_a_replaced_file_are_not_stored(database: Database, principal: Principal) -> None:
    with database.tenant(principal.organization_id) as session:
        base = KNOWLEDGE.create_base(session, principal, "stale")
        read_earlier = put(session, principal, base, "one", "1")
        put(session, principal, base, "one", "2")
        assert not KNOWLEDGE.store_chunks(
            session, principal, read_earlier, [chunk(0, "of the old file")], ingested="test", pages=None
        )
        assert statistics(session, base)[0] == 0


def test_other_tenants_find_nothing(database: Database, principal: Principal) -> None:
    with database.tenant(principal.organization_id) as session:
        base = KNOWLEDGE.create_base(session, principal, "fenced")
        document = put(session, principal, base, "one", "1")
        store(session, principal, document, [chunk(0, "secret words")])
        base = KNOWLEDGE.get_base(session, principal, base.id)
        [passage] = found(session, principal, base, "secret")
        neighbour = Principal(principal.organization_id, new_id(), None, frozenset())
        assert KNOWLEDGE.chunks(session, neighbour, [passage.chunk_id]) == []
        with pytest.raises(NotFound):
            KNOWLEDGE.get_base(session, neighbour, base.id)
        with pytest.raises(NotFound):
            KNOWLEDGE.get_document(session, neighbour, base.id, document.id)
    stranger = Principal(new_id(), principal.project_id, None, frozenset())
    with database.tenant(stranger.organization_id) as session:
        # Even with the record in hand and the project's id guessed, row-level security shows nothing.
        assert found(session, stranger, base, "secret") == []
        assert KNOWLEDGE.chunks(session, stranger, [passage.chunk_id]) == []


@pytest.mark.parametrize("query", ["", "the of and", "'quoted' & | ! <-> :*", "back\\slash", "häßlich 東京"])
def test_any_words_may_be_asked(database: Database, principal: Principal, query: str) -> None:
    with database.tenant(principal.organization_id) as session:
        base = KNOWLEDGE.create_base(session, principal, f"odd {query}")
        store(session, principal, put(session, principal, base, "one", "1"), [chunk(0, "plain words \\ back 'quoted'")])
        base = KNOWLEDGE.get_base(session, principal, base.id)
        assert len(KNOWLEDGE.search(session, base, query, vector_of("anything"), 5)) == 1


def test_an_exact_word_beats_a_nearer_vector(database: Database, principal: Principal) -> None:
    with database.tenant(principal.organization_id) as session:
        base = KNOWLEDGE.create_base(session, principal, "words")
        texts = [f"filler number {number} about nothing" for number in range(20)] + ["error E4711 in the gearbox"]
        document = put(session, principal, base, "one", "1")
        store(session, principal, document, [chunk(number, words) for number, words in enumerate(texts)])
        base = KNOWLEDGE.get_base(session, principal, base.id)
        [first, *_] = KNOWLEDGE.search(session, base, "E4711", vector_of("error E4711 in the gearbox"), 3)
        assert first.text == texts[-1]
        assert (first.dense_rank, first.lexical_rank) == (1, 1)
        assert first.score == pytest.approx(1)


def found(session: Session, principal: Principal, base: KnowledgeBase, words: str) -> list:  # type: ignore[type-arg]
    current = KnowledgeBase(**{**{name: getattr(base, name) for name in base.__slots__}, "chunk_count": 9})
    return KNOWLEDGE.search(session, current, words, vector_of(words), 10)
