"""Keeps job content, and secrets inside other strings, out of the logs, in lines of any logger."""

import re
from collections.abc import MutableMapping
from traceback import format_tb
from typing import Any

from structlog.typing import EventDict

MASK = "***"
_SECRET_FIELDS = frozenset(
    {
        "api_key",
        "authorization",
        "cookie",
        "password",
        "pseudonym_key",
        "secret",
        "secret_key",
        "signing_key",
        "token",
        "x-api-key",
    }
)
_PAYLOAD_FIELDS = frozenset({"body", "content", "input", "messages", "payload", "prompt", "result", "text"})
_WITHHELD = "[withheld]"
_SCRUBBED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"://[^\s/@]*@"), f"://{MASK}@"),
    (re.compile(r"\bwb_live_[0-9A-Za-z_]+"), f"wb_live_{MASK}"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\b(password|secret|api_key|AccountKey|sig)=[^\s;&\"']+", re.IGNORECASE), rf"\1={MASK}"),
    # Foreign exceptions quote their input: SQLAlchemy its parameters, Postgres the row, pydantic the value.
    (re.compile(r"\[parameters: .*", re.DOTALL), f"[parameters: {_WITHHELD}]"),
    (re.compile(r"^(DETAIL|CONTEXT):.*$", re.MULTILINE), rf"\1: {_WITHHELD}"),
    (re.compile(r"input_value=.*?(?=, input_type=|$)", re.MULTILINE), f"input_value={_WITHHELD}"),
)
# A cheap test that decides whether the expressions above are worth running on a value.
# A longer line is of no use to a person, and scrubbing it would delay everything else.
_TEXT_MAX_CHARACTERS = 16_384
# A password in a URL that the cut has separated from its @.
_CUT_OPEN = re.compile(r"://[^\s/@]*\Z")
_SUSPECT = re.compile(r"@|wb_live_|bearer|basic|=|\[parameters|DETAIL|CONTEXT", re.IGNORECASE)


def scrub(text: str) -> str:
    """`text` with passwords in URLs, keys, tokens and quoted statement parameters masked.

    Text longer than 16,384 characters is cut first, with a note of how much was cut.
    """
    if (over := len(text) - _TEXT_MAX_CHARACTERS) > 0:
        return f"{scrub(_CUT_OPEN.sub(f'://{MASK}', text[:_TEXT_MAX_CHARACTERS]))} [{over:,} more characters]"
    if _SUSPECT.search(text) is None:
        return text
    for pattern, replacement in _SCRUBBED:
        text = pattern.sub(replacement, text)
    return text


def without_text(error: BaseException) -> str:
    """The traceback of `error` and of its causes, without the text of any, which may quote the data being read."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return "\n".join(
        "".join((*format_tb(each.__traceback__), f"{type(each).__name__}: {_WITHHELD}\n")) for each in reversed(chain)
    )


def withhold(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """A processor that withholds job content and masks secrets."""
    for name, value in event.items():
        if name in _SECRET_FIELDS:
            event[name] = MASK
        elif name in _PAYLOAD_FIELDS:
            event[name] = _WITHHELD
        else:
            event[name] = _scrub_value(value)
    return event


def _scrub_value(value: Any) -> Any:
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, MutableMapping):
        return withhold(None, "", dict(value))
    if isinstance(value, list | tuple):
        return [_scrub_value(item) for item in value]
    if isinstance(value, int | float | None):
        return value
    return scrub(str(value))
