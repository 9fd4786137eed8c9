"""Reads a retrieval data set in the BEIR layout (Thakur et al. 2021, arXiv:2104.08663).

A folder with ``corpus.jsonl`` (``_id``, ``title``, ``text``), ``queries.jsonl`` (``_id``, ``text``) and
``qrels/test.tsv`` (query id, document id, grade, under a header).
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from waybill.evals.files import UnreadableData, read_lines, read_text


@dataclass(frozen=True, slots=True)
class DataSet:
    """Documents by id (title and text joined), queries by id, and each query's grades by document id.

    Only judged queries with at least one relevant document are included: the others measure nothing.
    """

    name: str
    documents: Mapping[str, str]
    queries: Mapping[str, str]
    grades: Mapping[str, Mapping[str, int]]


def load(folder: Path) -> DataSet:
    """Read `folder`. Raises `waybill.evals.files.UnreadableData`."""
    documents = {
        str(line.values["_id"]): f"{line.values.get('title') or ''}\n{line.values.get('text') or ''}".strip()
        for line in read_lines(folder / "corpus.jsonl", "_id")
    }
    grades: dict[str, dict[str, int]] = {}
    for query, document, grade in _judgements(folder / "qrels" / "test.tsv"):
        grades.setdefault(query, {})[document] = grade
    judged = {query: given for query, given in grades.items() if any(grade > 0 for grade in given.values())}
    queries = {
        str(line.values["_id"]): str(line.values["text"])
        for line in read_lines(folder / "queries.jsonl", "_id", "text")
        if str(line.values["_id"]) in judged
    }
    if not documents or not queries:
        raise UnreadableData(f"{folder} has no documents or no judged queries")
    return DataSet(folder.resolve().name, documents, queries, {query: judged[query] for query in queries})


def _judgements(path: Path) -> Iterator[tuple[str, str, int]]:
    rows = csv.reader(read_text(path).splitlines(), delimiter="\t")
    next(rows, None)
    for number, row in enumerate(rows, start=2):
        try:
            query, document, grade = row
            yield query, document, int(grade)
        except ValueError as error:
            raise UnreadableData(f"{path}, line {number}: expected query, document and grade") from error
