"""Search latency over 50,000 chunks: hybrid retrieval through `KnowledgeService`, without embedding the query.

Texts are words with Zipf's frequencies, vectors lie around 500 centres: the shape of a corpus, not its meaning.
"""

import random
import shutil
import tempfile
from math import sqrt
from pathlib import Path
from time import perf_counter
from typing import Any

from pydantic import SecretStr

from core.keys.principal import Principal
from core.kit.db import Database
from core.kit.ids import new_id
from core.kit.migrate import upgrade
from core.kit.settings import Settings
from core.knowledge.records import NewChunk
from core.knowledge.service import KnowledgeService
from tests.bench.rows import bounded
from waybill.stack.postgres import EmbeddedPostgres

_CHUNKS = 50_000
_PER_DOCUMENT = 500
_WORDS_PER_CHUNK = 120
_VOCABULARY = 30_000
_QUERIES = 200
_DIMENSIONS = 384


def run() -> list[dict[str, Any]]:
    """The rows of this benchmark."""
    folder = Path(tempfile.mkdtemp(prefix="waybill-bench-"))
    postgres = EmbeddedPostgres(folder / "postgres", settings={"shared_buffers": "512MB"})
    postgres.start()
    try:
        upgrade(postgres.url)
        settings = Settings(home=folder, database_url=SecretStr(postgres.url), database_statement_timeout_seconds=120)
        return [row.as_json() for row in _measure(Database(settings, application_name="bench", pool_size=2))]
    finally:
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


def _measure(database: Database) -> list[Any]:
    chance = random.Random(50_000)
    centres = [_near(chance, [0.0] * _DIMENSIONS, 1.0) for _ in range(500)]
    vocabulary = [f"term{number}" for number in range(_VOCABULARY)]
    frequency = [1 / (rank + 3) for rank in range(_VOCABULARY)]
    service, principal = KnowledgeService(), Principal(new_id(), new_id(), None, frozenset())
    with database.tenant(principal.organization_id) as session:
        base_id = service.create_base(session, principal, "bench").id
    for first in range(0, _CHUNKS, _PER_DOCUMENT):
        words = chance.choices(vocabulary, frequency, k=_PER_DOCUMENT * _WORDS_PER_CHUNK)
        texts = [" ".join(words[n * _WORDS_PER_CHUNK : (n + 1) * _WORDS_PER_CHUNK]) for n in range(_PER_DOCUMENT)]
        with database.tenant(principal.organization_id) as session:
            document = service.put_document(
                session,
                principal,
                base_id,
                name=f"{first}.txt",
                content_type="text/plain",
                size_bytes=1,
                sha256=str(first),
                blob_key=f"bench/{first}",
            )
            chunks = [
                NewChunk(
                    n, None, None, 0, len(text), text, text, str(first + n), _near(chance, chance.choice(centres), 0.7)
                )
                for n, text in enumerate(texts)
            ]
            service.store_chunks(session, principal, document, chunks, ingested="bench", pages=None)
    with database.tenant(principal.organization_id) as session:
        base = service.get_base(session, principal, base_id)
    seconds = []
    for number in range(_QUERIES + 20):
        query = " ".join(chance.choices(vocabulary, frequency, k=8))
        vector = _near(chance, chance.choice(centres), 0.7)
        began = perf_counter()
        with database.tenant(principal.organization_id) as session:
            service.search(session, base, query, vector, 8)
        if number >= 20:
            seconds.append(perf_counter() - began)
    database.close()
    seconds.sort()
    return [
        bounded("search_p95_50000_chunks", "ms", seconds[int(_QUERIES * 0.95)] * 1000, at_most=60.0),
        bounded("search_p50_50000_chunks", "ms", seconds[_QUERIES // 2] * 1000, at_most=60.0),
    ]


def _near(chance: random.Random, centre: list[float], spread: float) -> list[float]:
    scale = spread / sqrt(_DIMENSIONS)
    moved = [component + chance.gauss(0, scale) for component in centre]
    length = sqrt(sum(component * component for component in moved))
    return [component / length for component in moved]
