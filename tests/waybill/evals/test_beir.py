import json
from pathlib import Path

import pytest

from waybill.evals.beir import load
from waybill.evals.files import UnreadableData


def write(folder: Path, *, corpus: str, queries: str, qrels: str) -> Path:
    (folder / "qrels").mkdir()
    (folder / "corpus.jsonl").write_text(corpus, encoding="utf-8")
    (folder / "queries.jsonl").write_text(queries, encoding="utf-8")
    (folder / "qrels" / "test.tsv").write_text(qrels, encoding="utf-8")
    return folder


CORPUS = json.dumps({"_id": "d1", "title": "A title", "text": "a text"}) + "\n" + '{"_id": "d2", "text": "other"}\n'
QUERIES = '{"_id": "q1", "text": "judged"}\n{"_id": "q2", "text": "unjudged"}\n{"_id": "q3", "text": "hopeless"}\n'
QRELS = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq3\td1\t0\n"


def test_only_queries_with_something_to_find_are_kept(tmp_path: Path) -> None:
    data = load(write(tmp_path, corpus=CORPUS, queries=QUERIES, qrels=QRELS))
    assert data.documents == {"d1": "A title\na text", "d2": "other"}
    assert data.queries == {"q1": "judged"}
    assert data.grades == {"q1": {"d1": 2, "d2": 0}}


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        ({"corpus": "{not json\n"}, "corpus.jsonl, line 1"),
        ({"corpus": '{"text": "no id"}\n'}, "corpus.jsonl, line 1"),
        ({"queries": '{"_id": "q1"}\n'}, "queries.jsonl, line 1"),
        ({"qrels": "header\nq1\td1\tmany\n"}, "test.tsv, line 2"),
        ({"qrels": "query-id\tcorpus-id\tscore\n"}, "no documents or no judged queries"),
    ],
)
def test_broken_data_is_named(tmp_path: Path, broken: dict[str, str], complaint: str) -> None:
    folder = write(tmp_path, **{"corpus": CORPUS, "queries": QUERIES, "qrels": QRELS, **broken})
    with pytest.raises(UnreadableData, match=complaint):
        load(folder)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableData, match=r"corpus\.jsonl"):
        load(tmp_path)
