"""Reading a retrieval data set in the BEIR layout (Thakur et al. 2021, arXiv:2104.08663).

A folder with ``corpus.jsonl`` (``_id``, ``title``, ``text``), ``queries.jsonl`` (``_id``, ``text``) and
``qrels/test.tsv`` (query id, document id, grade, under a header).
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson


class UnreadableData(ValueError):
    """The folder is not a data set in the BEIR layout; says which file and line."""


@dataclass(frozen=True, slots=True)
class DataSet:
    """Documents by id (title and text joined), queries by id, and each query's grades by document id.

    Only judged queries with at least one relevant document are kept: the others measure nothing.
    """

    name: str
    documents: Mapping[str, str]
    queries: Mapping[str, str]
    grades: Mapping[str, Mapping[str, int]]


def load(folder: Path) -> DataSet:
    """Read `folder`. Raises `UnreadableData`."""
    documents = {
        str(line["_id"]): f"{line.get('title') or ''}\n{line.get('text') or ''}".strip()
        for line in _lines(folder / "corpus.jsonl", "_id")
    }
    grades: dict[str, dict[str, int]] = {}
    for query, document, grade in _judgements(folder / "qrels" / "test.tsv"):
        grades.setdefault(query, {})[document] = grade
    judged = {query: given for query, given in grades.items() if any(grade > 0 for grade in given.values())}
    queries = {
        str(line["_id"]): str(line["text"])
        for line in _lines(folder / "queries.jsonl", "_id", "text")
        if str(line["_id"]) in judged
    }
    if not documents or not queries:
        raise UnreadableData(f"{folder} has no documents or no judged queries")
    return DataSet(folder.resolve().name, documents, queries, {query: judged[query] for query in queries})


def _lines(path: Path, *required: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(_read(path).splitlines(), start=1):
        if not line.strip():
            continue
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise UnreadableData(f"{path}, line {number}: {error}") from error
        if not isinstance(found, dict) or any(name not in found for name in required):
            raise UnreadableData(f"{path}, line {number}: expected an object with {' and '.join(required)}")
        yield found


def _judgements(path: Path) -> Iterator[tuple[str, str, int]]:
    rows = csv.reader(_read(path).splitlines(), delimiter="\t")
    next(rows, None)
    for number, row in enumerate(rows, start=2):
        try:
            query, document, grade = row
            yield query, document, int(grade)
        except ValueError as error:
            raise UnreadableData(f"{path}, line {number}: expected query, document and grade") from error


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UnreadableData(f"cannot read {path}: {error}") from error
