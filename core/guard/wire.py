"""The protocol between the guard's process and its callers, and its limits.

``POST /analyze`` takes ``{"texts": [str, …], "kinds": [str, …]}`` and returns ``{"findings": [[finding, …], …]}``, one
list per text. Without ``kinds`` all are searched for. A finding is an object of `Finding`'s fields without `part`;
positions count code points.
"""

import math
from collections.abc import Sequence
from typing import Any

import orjson

from core.guard.records import EntityKind, Finding
from core.kit.json_values import dumps

PATH = "/analyze"
TEXTS_MAX = 256
CHARACTERS_MAX = 32_000
# A code point is at most six bytes in JSON.
BODY_MAX_BYTES = 6 * CHARACTERS_MAX + 16 * TEXTS_MAX + 1024
ANSWER_MAX_BYTES = 16 * 1024 * 1024
_KINDS = frozenset(EntityKind)


class Malformed(ValueError):
    """The data does not follow this protocol; the message quotes none of it."""


def pack_request(texts: Sequence[str], kinds: frozenset[str] | None = None) -> bytes:
    """The body of a request. U+0000 and lone surrogates, which cannot be sent, are replaced; positions stay."""
    sent = {"texts": [text.encode("utf-8", "replace").decode().replace("\0", "\ufffd") for text in texts]}
    return dumps(sent if kinds is None else sent | {"kinds": sorted(kinds)})


def unpack_request(body: bytes) -> tuple[list[str], frozenset[str] | None]:
    """The texts of a request, and the kinds to look for, None for all.

    Raises `Malformed`, also for too many or too long texts, and for a kind that is not built in.
    """
    request = _object(body, "texts", "kinds")
    texts = _list(request["texts"])
    kinds = _list(request["kinds"]) if "kinds" in request else None
    if not all(isinstance(text, str) for text in texts):
        raise Malformed("a text is not a string")
    if len(texts) > TEXTS_MAX:
        raise Malformed(f"more than {TEXTS_MAX} texts")
    if sum(map(len, texts)) > CHARACTERS_MAX:
        raise Malformed(f"more than {CHARACTERS_MAX} characters")
    if kinds is not None and not all(isinstance(kind, str) and kind in _KINDS for kind in kinds):
        raise Malformed("a kind that is not built in")
    return texts, None if kinds is None else frozenset(kinds)


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
    """The findings of each of `texts`. Raises `Malformed`, also for one outside its text."""
    lists = _list(_object(body, "findings")["findings"])
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


def _object(body: bytes, required: str, optional: str | None = None) -> dict[str, Any]:
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Malformed("not JSON") from None
    if not isinstance(document, dict) or not {required} <= document.keys() <= {required, optional}:
        raise Malformed(f"not an object of {required!r}")
    return document


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Malformed("not a list")
    return value
