"""Errors that a provider sent in place of an answer, in the shapes that OpenAI-compatible servers use.

The shapes differ (an object under ``error``, a text there, the object itself, a list of one, FastAPI's ``detail``),
and so do the types in them. Only short words, a status and a wait are extracted; the message is read and never shown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from core.gateway.providers.json_reading import read_json
from core.gateway.providers.reported import count_of
from core.kit.clock import utc_now
from core.kit.retry_after import MAX_SECONDS, retry_after_seconds

_MAX_WORD, _MAX_MESSAGE = 64, 4096
_MAX_NESTING = 4
_STATUSES = range(400, 600)


@dataclass(frozen=True, slots=True)
class Reported:
    """An error as the provider reports it. `words` are its short names in lower case, `code` the one to show.

    `places` are the parameters that it names, with the path to each; `message` is for matching, not for showing.
    """

    code: str | None = None
    words: frozenset[str] = frozenset()
    status: int | None = None
    param: str | None = None
    places: tuple[str, ...] = ()
    message: str = ""
    retry_after_seconds: float | None = None


def is_error(event: Any) -> bool:
    """Whether a value that arrived in place of an answer, or of a piece of one, reports an error."""
    if isinstance(event, list):
        return bool(event) and is_error(event[0])
    if not isinstance(event, Mapping):
        return False
    if event.get("error") or event.get("object") == "error" or event.get("type") == "error":
        return True
    if "choices" in event or "usage" in event:
        return False
    return bool(event.get("detail") or event.get("errors")) or ("message" in event and "code" in event)


def read_error(body: Any) -> Reported:
    """The error in `body`, a JSON value of any shape."""
    code = kind = param = status = wait = None
    words: list[str] = []
    places: list[str] = []
    message = ""
    for part in _parts(body):
        for name in ("code", "type", "status", "reason"):
            value = part.get(name)
            number = count_of(value)
            if number is not None:
                status = status or (number if number in _STATUSES else None)
            elif isinstance(value, str) and 0 < len(value) <= _MAX_WORD:
                words.append(value.lower())
                code = code or (value if name == "code" else None)
                kind = kind or (value if name == "type" and "message" in part else None)
        number = count_of(part.get("status_code"))
        status = status or (number if number in _STATUSES else None)
        named = part.get("param")
        if isinstance(named, str) and named:
            param = param or named[:_MAX_WORD]
        place = part.get("loc")
        if isinstance(place, list):
            places.append(".".join(str(step) for step in place[:16] if isinstance(step, str | int))[:256])
        for name in ("message", "msg", "error", "detail"):
            said = part.get(name)
            if isinstance(said, str):
                message = f"{message}\n{said[:_MAX_MESSAGE]}"[-_MAX_MESSAGE:].strip()
        wait = wait if wait is not None else _wait(part)
    return Reported(code or kind, frozenset(words), status, param, tuple(places), message, wait)


def _parts(body: Any, depth: int = 0) -> Iterator[Mapping[str, Any]]:
    """The objects of an error, outermost first."""
    if depth > _MAX_NESTING:
        return
    if isinstance(body, list):
        for item in body[:8]:
            yield from _parts(item, depth + 1)
    elif isinstance(body, str):
        yield from _parts_of_text(body, depth)
    elif isinstance(body, Mapping):
        yield body
        for name in ("error", "errors", "detail", "details", "message"):
            yield from _parts(body.get(name), depth + 1)


def _parts_of_text(body: str, depth: int) -> Iterator[Mapping[str, Any]]:
    if depth == 0:
        yield {"message": body}
    elif len(body) <= _MAX_WORD:
        # Recognized by its words and never shown: it may be a piece of the request.
        yield {"type": body}
    elif len(body) <= _MAX_MESSAGE and body.lstrip()[:1] in {"{", "["}:
        # Some proxies put the upstream server's body into the message.
        try:
            value = read_json(body)
        except ValueError:
            return
        yield from _parts(value, depth + 1)


def _wait(part: Mapping[str, Any]) -> float | None:
    """The wait that an error's own fields ask for: Google's ``retryDelay``, OpenRouter's copied headers."""
    delay = part.get("retryDelay")
    if isinstance(delay, str):
        return retry_after_seconds({"retry-after": delay}, utc_now())
    metadata = part.get("metadata")
    headers = metadata.get("headers") if isinstance(metadata, Mapping) else None
    if isinstance(headers, Mapping):
        read = {str(name).lower(): str(value)[:_MAX_WORD] for name, value in list(headers.items())[:64]}
        return retry_after_seconds(read, utc_now())
    seconds = part.get("retry_after")
    if isinstance(seconds, int | float) and not isinstance(seconds, bool) and 0 < seconds <= MAX_SECONDS:
        return float(seconds)
    return None
