from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from core.gateway.embeddings.minilm import load_minilm
from core.kit.settings import Settings
from waybill.evals.retrieval import run_retrieval_eval

pytestmark = pytest.mark.own_database

TOPICS = {
    "d1": "Bees collect nectar from flowers and make honey in the hive.",
    "d2": "The steam engine turned the wheels of the first railways.",
    "d3": "Glaciers carve valleys while they slide towards the sea.",
    "d4": "",
}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    lines = [f'{{"_id": "{name}", "title": "", "text": "{text}"}}' for name, text in TOPICS.items()]
    (folder / "corpus.jsonl").write_text("\n".join(lines), encoding="utf-8")
    queries = '{"_id": "q1", "text": "how is honey made"}\n{"_id": "q2", "text": "ice shaping the landscape"}\n'
    (folder / "queries.jsonl").write_text(queries, encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text("q\td\ts\nq1\td1\t1\nq2\td3\t1\n", encoding="utf-8")
    return folder


def test_the_obvious_documents_come_first_and_nothing_stays(data: Path, database_url: str) -> None:
    reported: list[tuple[str, int, int]] = []
    report = run_retrieval_eval(
        data,
        load_minilm(),
        settings=Settings(database_url=SecretStr(database_url)),
        progress=lambda *step: reported.append(step),
    )
    assert report.documents == 4
    assert report.chunks == 3
    assert [query.first[0] for query in report.queries] == ["d1", "d3"]
    assert report.ndcg_at_10.value == 1
    assert report.recall_at_100.value == 1
    assert reported[-1] == ("queries", 2, 2)
    with psycopg.connect(database_url) as connection:
        for table in ("knowledge_bases", "documents", "chunks", "knowledge_terms"):
            assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
