"""Turns lines into an answer or a filled object, with a model or without one."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core.capability import JobContext
from core.gateway.calls import JobModels
from core.gateway.models import Ability, ChatRequest, Citation, Finish, Question
from core.gateway.routing import CHAT, EXTRACTIVE
from pipelines.multimodal.evidence import cited_lines, passages_of
from pipelines.multimodal.files.isolation import match as match_labels
from pipelines.multimodal.filling.fill import NOT_FOUND
from pipelines.multimodal.filling.labels import Match
from pipelines.multimodal.questions import ANSWER, answer_schema, ask, task_of
from pipelines.multimodal.reading.layout import CELL

NOTHING_READ = "Nothing legible was found in these files."
_ASKS_LABEL = re.compile(
    r"\s*(?:what|when|who|which|how much)\s+(?:is|are|was|were)\s+the\s+(\w+(?: \w+){0,2})(?:\s*\?)?\s*$", re.IGNORECASE
)
_IS_THE_LABEL = 0.85
_GROUNDED, _UNGROUNDED = 0.95, 0.4
_NOT_THERE = "the model gives this value, but it was not read in the lines that it names"


def writes_json(models: JobModels) -> bool:
    """Whether the bound model can write JSON that obeys a schema."""
    return Ability.JSON_SCHEMA in models.resolve(CHAT).abilities


def sees(models: JobModels) -> bool:
    """Whether the bound model reads pictures, and writes JSON about them."""
    return Ability.VISION in models.resolve(CHAT).abilities and writes_json(models)


def answer(
    ctx: JobContext,
    models: JobModels,
    question: str,
    *,
    lines: Sequence[Mapping[str, Any]],
    parts: Sequence[Mapping[str, Any]],
    pictures: Sequence[Path],
) -> dict[str, Any]:
    """``{"answer", "answered", "lines", "model", "prompts"}``; `lines` are indexes."""
    if not lines and not pictures:
        ctx.delta(NOTHING_READ)
        return {"answer": NOTHING_READ, "answered": False, "lines": [], "model": None, "prompts": {}}
    if writes_json(models):
        said, prompts = ask(models, "answer", ANSWER, task=task_of(question, None), lines=lines, pictures=pictures)
        ctx.delta(said["answer"])
        used = sorted({number for number in said["lines"] if 0 <= number < len(lines)})
        model = models.resolve(CHAT).price_model
        reply = {"answer": said["answer"], "answered": said["answered"]}
        return {**reply, "lines": used, "model": model, "prompts": prompts}
    if match := labelled(ctx, question, lines):
        said_here = " ".join(lines[at]["text"].replace(CELL, ": ", 1) for at in match.lines)
        ctx.delta(said_here)
        return {"answer": said_here, "answered": True, "lines": list(match.lines), "model": None, "prompts": {}}
    name = CHAT if Ability.QUOTES in models.resolve(CHAT).abilities else EXTRACTIVE
    request = ChatRequest.of_parts((*passages_of(lines, parts), Question(question)))
    pieces: list[str] = []
    citations: list[Citation] = []
    with models.chat(name, request) as stream:
        for chunk in stream:
            ctx.delta(chunk.text)
            pieces.append(chunk.text)
            citations.extend(chunk.citations)
        finish, model = stream.finish, stream.model.price_model
    return {
        "answer": "".join(pieces),
        "answered": finish is not Finish.NO_ANSWER and bool(citations),
        "lines": cited_lines(citations, lines),
        "model": model,
        "prompts": {},
    }


def labelled(ctx: JobContext, question: str, lines: Sequence[Mapping[str, Any]]) -> Match | None:
    """The value beside the label that `question` names: a print of two words is no sentence to quote."""
    asked = _ASKS_LABEL.match(question)
    if asked is None:
        return None
    schema: dict[str, Any] = {"properties": {asked[1]: {}}}
    found = match_labels(schema, lines, ctx.check, owner=str(ctx.organization_id))[asked[1]]
    return found if found.value is not None and found.confidence >= _IS_THE_LABEL else None


def fill(
    ctx: JobContext,
    models: JobModels,
    schema: Mapping[str, Any],
    *,
    lines: Sequence[Mapping[str, Any]],
    pictures: Sequence[Path],
) -> dict[str, Any]:
    """``{"values", "found", "model", "prompts"}``; `found` has confidence, lines and note of every property."""
    if not writes_json(models):
        matches = match_labels(schema, lines, ctx.check, owner=str(ctx.organization_id))
        return {
            "values": {name: match.value for name, match in matches.items()},
            "found": {name: _found(match.confidence, match.lines, match.note) for name, match in matches.items()},
            "model": None,
            "prompts": {},
        }
    said, prompts = ask(
        models, "fill", answer_schema(schema), task=task_of(None, schema), lines=lines, pictures=pictures
    )
    values, found = said["values"], {}
    for name, value in values.items():
        used = sorted({number for number in said["sources"][name] if 0 <= number < len(lines)})
        if value is None:
            found[name] = _found(0.0, (), NOT_FOUND)
        elif used and stands_in(value, [lines[number]["text"] for number in used]):
            found[name] = _found(_GROUNDED * min(lines[number]["confidence"] for number in used), used)
        else:
            found[name] = _found(_UNGROUNDED, used, _NOT_THERE)
    return {"values": values, "found": found, "model": models.resolve(CHAT).price_model, "prompts": prompts}


def stands_in(value: Any, texts: Sequence[str]) -> bool:
    """Whether every scalar of `value` was read in `texts`: its words, its amount or its date."""
    from pipelines.multimodal.filling.values import read_amounts, read_date

    if isinstance(value, dict | list):
        below = value.values() if isinstance(value, dict) else value
        return all(stands_in(each, texts) for each in below if each is not None)
    if isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return any(float(amount) == float(value) for text in texts for amount in read_amounts(text))
    words, there = _plain(str(value)), _plain(" ".join(texts))
    return (bool(words) and words in there) or any(read_date(text) == value for text in texts)


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _found(confidence: float, lines: Sequence[int], note: str | None = None) -> dict[str, Any]:
    return {"confidence": round(confidence, 3), "lines": list(lines), "note": note}
