"""What the guard's process and its callers say to each other, and within which bounds.

``POST /analyze`` takes ``{"texts": [str, …]}`` and answers ``{"findings": [[finding, …], …]}``, one list a text. A
finding is an object of `Finding`'s fields without `part`; places count code points.
"""

import math
from collections.abc import Sequence
from typing import Any

import orjson

from core.guard.records import Finding
from core.kit.json_values import dumps

PATH = "/analyze"
TEXTS_MAX = 256
CHARACTERS_MAX = 32_000
# A code point is six bytes at most in JSON.
BODY_MAX_BYTES = 6 * CHARACTERS_MAX + 16 * TEXTS_MAX
ANSWER_MAX_BYTES = 16 * 1024 * 1024


class Malformed(ValueError):
    """What came is not what this protocol says; the message quotes nothing of it."""


def pack_texts(texts: Sequence[str]) -> bytes:
    """The body of a request. U+0000 and lone surrogates, which cannot be sent, become others; places stay."""
    return dumps({"texts": [text.encode("utf-8", "replace").decode().replace("\0", "\ufffd") for text in texts]})


def unpack_texts(body: bytes) -> list[str]:
    """The texts of a request. Raises `Malformed`, also for too many or too long ones."""
    texts = _member(body, "texts")
    if not all(isinstance(text, str) for text in texts):
        raise Malformed("a text is not a string")
    if len(texts) > TEXTS_MAX:
        raise Malformed(f"more than {TEXTS_MAX} texts")
    if sum(map(len, texts)) > CHARACTERS_MAX:
        raise Malformed(f"more than {CHARACTERS_MAX} characters")
    return texts


def as_json(finding: Finding) -> dict[str, Any]:
    """A finding as it is sent."""
    return {
        "kind": str(finding.kind),
        "start": finding.start,
        "end": finding.end,
        "score": finding.score,
        "recognizer": finding.recognizer,
    }


def unpack_findings(body: bytes, texts: Sequence[str]) -> list[list[Finding]]:
    """The findings of each of `texts`. Raises `Malformed`, also for one that lies outside its text."""
    lists = _member(body, "findings")
    if len(lists) != len(texts):
        raise Malformed("not one list of findings a text")
    return [[_finding(each, len(text)) for each in _list(found)] for found, text in zip(lists, texts, strict=True)]


def _finding(found: Any, length: int) -> Finding:
    match found:
        case {
            "kind": str(kind),
            "start": int(start),
            "end": int(end),
            "score": float() | int() as score,
            "recognizer": str(recognizer),
        } if 0 <= start < end <= length and math.isfinite(score) and 0 <= score <= 1:
            return Finding(kind, start, end, float(score), recognizer)
    raise Malformed("a finding that is none, or outside its text")


def _member(body: bytes, name: str) -> list[Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed("not JSON") from None
    if not isinstance(document, dict) or document.keys() != {name}:
        raise Malformed(f"not an object with {name!r} alone")
    return _list(document[name])


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Malformed("not a list")
    return value
