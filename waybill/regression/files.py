"""Data sets and runs as files: one JSON object a line.

A data set's line is a case: ``custom_id``, ``capability``, ``input``, and, where it is known, ``expected``. A run's
line is what became of a case: ``custom_id``, ``state``, ``passed`` (null for a case without an expectation),
``mismatches``, ``result``, ``job_id`` and ``cost_usd``.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class FileProblem(ValueError):
    """A file is not what it is taken for; the message says where."""


@dataclass(frozen=True, slots=True)
class Case:
    """A case of a data set. `expected` is what `waybill.regression.matching` reads; None checks nothing."""

    custom_id: str
    capability: str
    input: dict[str, Any]
    expected: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a case in a run. `passed` is None for one without an expectation that succeeded."""

    custom_id: str
    state: str
    passed: bool | None
    mismatches: Sequence[Mapping[str, Any]]
    result: dict[str, Any] | None
    job_id: str | None
    cost_usd: str | None


def read_cases(path: Path) -> list[Case]:
    """The cases of a data set. Raises `FileProblem`."""
    cases = [
        Case(
            _text(line, "custom_id", path, number),
            _text(line, "capability", path, number),
            _object(line, "input", path, number),
            None if line.get("expected") is None else _object(line, "expected", path, number),
        )
        for number, line in _lines(path)
    ]
    if not cases:
        raise FileProblem(f"{path} holds no case")
    if len({case.custom_id for case in cases}) < len(cases):
        raise FileProblem(f"{path} names a custom_id twice")
    return cases


def read_outcomes(path: Path) -> dict[str, Outcome]:
    """What became of each case, by its name. Raises `FileProblem`."""
    return {
        (name := _text(line, "custom_id", path, number)): Outcome(
            name,
            _text(line, "state", path, number),
            line.get("passed"),
            line.get("mismatches") or [],
            line.get("result"),
            line.get("job_id"),
            line.get("cost_usd"),
        )
        for number, line in _lines(path)
    }


def write_lines(path: Path, lines: Iterable[Mapping[str, Any]]) -> int:
    """Write one object a line; returns how many."""
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += 1
    return count


def _lines(path: Path) -> list[tuple[int, dict[str, Any]]]:
    found = []
    for number, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not text.strip():
            continue
        try:
            line = json.loads(text)
        except ValueError as error:
            raise FileProblem(f"{path}, line {number}, is not JSON: {error}") from error
        if not isinstance(line, dict):
            raise FileProblem(f"{path}, line {number}, is no JSON object")
        found.append((number, line))
    return found


def _text(line: Mapping[str, Any], name: str, path: Path, number: int) -> str:
    value = line.get(name)
    if not isinstance(value, str) or not value:
        raise FileProblem(f"{path}, line {number}: {name} is missing, or no text")
    return value


def _object(line: Mapping[str, Any], name: str, path: Path, number: int) -> dict[str, Any]:
    value = line.get(name)
    if not isinstance(value, dict):
        raise FileProblem(f"{path}, line {number}: {name} is missing, or no object")
    return value
