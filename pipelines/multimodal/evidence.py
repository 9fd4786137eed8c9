"""Turns lines into passages that can be quoted, and quotes back into regions."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from core.gateway.models import Citation, Passage

_PASSAGE_CHARACTERS = 1200


def lines_of(parts: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """All lines in reading order; each knows its `part`."""
    return [{**line, "part": index} for index, part in enumerate(parts) for line in part["lines"]]


def passages_of(lines: Sequence[Mapping[str, Any]], parts: Sequence[Mapping[str, Any]]) -> list[Passage]:
    """Runs of whole lines. The id of a passage is the index of its first line."""
    passages: list[Passage] = []
    begin = 0
    for index in range(len(lines)):
        is_last = index + 1 == len(lines) or lines[index + 1]["part"] != lines[index]["part"]
        size = sum(len(line["text"]) + 2 for line in lines[begin : index + 1])
        if is_last or (lines[index]["ends"] and size > _PASSAGE_CHARACTERS / 2) or size > _PASSAGE_CHARACTERS:
            text = _text(lines[begin : index + 1])
            part = parts[lines[begin]["part"]]
            passages.append(Passage(str(begin), text, part["name"], part["page"], char_end=len(text)))
            begin = index + 1
    return passages


def cited_lines(citations: Iterable[Citation], lines: Sequence[Mapping[str, Any]]) -> list[int]:
    """The indexes of the lines that the quotes touch, in order and once each."""
    found: set[int] = set()
    for cited in citations:
        position, index = 0, int(cited.passage_id)
        while index < len(lines) and position < cited.end:
            end = position + len(lines[index]["text"])
            if cited.start < end:
                found.add(index)
            position = end + len(_separator(lines[index]))
            index += 1
    return sorted(found)


def region(line: Mapping[str, Any], part: Mapping[str, Any]) -> dict[str, Any]:
    """The location of `line` in the output's form."""
    span = line.get("span")
    return {
        "file": part["file"],
        "page": part["page"],
        "box": line.get("box"),
        "unit": part["unit"],
        "start": span[0] if span else None,
        "end": span[1] if span else None,
        "text": line["text"],
        "confidence": line["confidence"],
    }


def _text(lines: Sequence[Mapping[str, Any]]) -> str:
    return "".join(line["text"] + _separator(line) for line in lines).rstrip("\n")


def _separator(line: Mapping[str, Any]) -> str:
    return "\n\n" if line["ends"] else "\n"
