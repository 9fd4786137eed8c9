"""Structured logs: one line per event on standard error, as JSON for machines or in colour for a person.

An event is a constant in snake_case and every value is a field, so that logs can be counted and joined. What a job
carries (inputs, results, prompts) never reaches a log: fields with such names are withheld, and secrets inside other
strings are masked, whoever logged them.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, cast

import orjson
import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor

from core.kit.settings import Settings

MASK = "***"
_SECRET_FIELDS = frozenset(
    {"api_key", "authorization", "cookie", "password", "secret", "secret_key", "token", "x-api-key"}
)
_PAYLOAD_FIELDS = frozenset({"body", "content", "input", "messages", "payload", "prompt", "result", "text"})
_WITHHELD = "[withheld]"
_SCRUBBED: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^\s/@]*@", re.IGNORECASE), rf"\g<scheme>{MASK}@"),
    (re.compile(r"\bwb_live_[0-9A-Za-z_]+"), f"wb_live_{MASK}"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]+", re.IGNORECASE), rf"\1 {MASK}"),
    (re.compile(r"\b(password|secret|api_key|AccountKey|sig)=[^\s;&\"']+", re.IGNORECASE), rf"\1={MASK}"),
    # Foreign exceptions quote what they choked on: SQLAlchemy its parameters, Postgres the row, pydantic the input.
    (re.compile(r"\[parameters: .*", re.DOTALL), f"[parameters: {_WITHHELD}]"),
    (re.compile(r"^(DETAIL|CONTEXT):.*$", re.MULTILINE), rf"\1: {_WITHHELD}"),
    (re.compile(r"input_value=.*?, input_type="), f"input_value={_WITHHELD}, input_type="),
)
# A cheap test that decides whether the expressions above are worth running on a value.
_SUSPECT = re.compile(r"@|wb_live_|bearer|basic|=|\[parameters|DETAIL|CONTEXT", re.IGNORECASE)
_NOISY = ("httpcore", "httpx", "urllib3", "asyncio")


def scrub(text: str) -> str:
    """`text` with passwords in URLs, keys, tokens and quoted statement parameters masked."""
    if _SUSPECT.search(text) is None:
        return text
    for pattern, replacement in _SCRUBBED:
        text = pattern.sub(replacement, text)
    return text


def configure_logging(settings: Settings, *, service: str) -> None:
    """Set up structlog and route the standard library's logging through it; `service` names the process's role.

    Safe to call again, for example in a forked child; the last call wins.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named_service(service),
        _add_logger,
        _add_trace,
        structlog.processors.StackInfoRenderer(),
    ]
    last = _last_processors(settings)
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_StandardError,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(_LiveStream())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry ``logger=name``; pass ``__name__``."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(name))


@contextmanager
def bound_log_context(**fields: Any) -> Iterator[None]:
    """Add `fields` (``job_id``, ``project_id``, …) to every line logged inside the block, in this thread or task."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def _last_processors(settings: Settings) -> list[Processor]:
    if settings.log_format == "console":
        plain = structlog.dev.plain_traceback
        colors = sys.stderr.isatty()
        return [
            structlog.processors.format_exc_info,
            _withhold,
            structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain),
        ]
    return [structlog.processors.format_exc_info, _withhold, _render_json]


def _named_service(service: str) -> Processor:
    def add_service(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return add_service


def _add_trace(_logger: Any, _method: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid and "trace_id" not in event:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
    return event


def _add_logger(logger: Any, _method: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    event["logger"] = logger.name if record is None else record.name
    return event


def _withhold(_logger: Any, _method: str, event: EventDict) -> EventDict:
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
        return _withhold(None, "", dict(value))
    if isinstance(value, list | tuple):
        return [_scrub_value(item) for item in value]
    if isinstance(value, int | float | None):
        return value
    return scrub(str(value))


def _render_json(_logger: Any, _method: str, event: EventDict) -> str:
    try:
        return orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        # Integers above 64 bits and lone surrogates; a line must not be lost over them.
        return json.dumps(event, default=str)


class _LiveStream:
    """Standard error as it is now: a test or a daemon may replace it after logging was configured."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


class _StandardError:
    """What structlog hands a finished line to. One write per line, so that lines of several threads do not mix."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def msg(self, line: str) -> None:
        sys.stderr.write(line + "\n")

    debug = info = warning = error = critical = exception = log = msg
