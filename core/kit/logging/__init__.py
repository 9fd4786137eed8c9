"""Structured logs: one line per event on standard error, as JSON for machines or in color for a person.

An event is a constant in snake_case and every value is a field, so that logs can be counted and joined. Job content
(inputs, results, prompts) never reaches a log: fields with such names are withheld, and secrets inside other strings
are masked, in lines of any logger. ``docs/reference/logs.md`` defines each field.
"""

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import orjson
import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor

from core.kit.ids import FIELDS, encode_field
from core.kit.logging.export import LogExport, is_wanted
from core.kit.logging.masking import MASK, scrub, withhold, without_text
from core.kit.logging.repeats import LIMITED, Key, Repeats, fields_of, key_of
from core.kit.logging.sink import SINK, Lines
from core.kit.metrics import LOG_LINES
from core.kit.settings import Settings
from core.kit.terminal import escape, neutralize

__all__ = [
    "MASK",
    "SCHEMA",
    "bound_log_context",
    "configure_logging",
    "get_logger",
    "scrub",
    "shutdown_logging",
    "without_text",
]

# The version of a line's schema. It rises when a field changes its name or meaning, not when one is added.
SCHEMA = 1
_NOISY = ("httpcore", "httpx", "urllib3", "asyncio")


class _State:
    """Where the lines of this process go besides through the processors."""

    export: LogExport | None = None


def configure_logging(settings: Settings, *, service: str, hold_seconds: float = 0.0, exports: bool = True) -> None:
    """Set up structlog and route the standard library's logging through it; `service` names the process's role.

    Safe to call again, for example in a forked child; the last call wins. A process that does not fork may hold its
    less important lines for `hold_seconds`, to write many at once. Lines are also exported over OTLP where the
    environment enables it (`core.kit.logging.export`), unless the process must not have threads (`exports`).
    """
    SINK.start(hold_seconds)
    _REPEATS.begin(settings.log_repeats_per_minute)
    _open_export(settings, service, wanted=exports and is_wanted())
    named: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        _add_logger,
    ]
    shared: list[Processor] = [
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named_service(service),
        _add_trace,
        _encode_ids,
        structlog.processors.StackInfoRenderer(),
    ]
    last = _last_processors(settings)
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[*named, _limit_repeats, *shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=Lines,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(SINK)
    handler.addFilter(_admits_record)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*named, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.captureWarnings(capture=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    # It warns of every statement that Postgres refuses inside a pipeline, which is how a budget refuses a call.
    logging.getLogger("psycopg").setLevel(logging.ERROR)


def shutdown_logging() -> None:
    """Write and send held lines and counts; for a process that ends without its exit handlers."""
    _REPEATS.flush()
    SINK.flush()
    if _State.export is not None:
        _State.export.close()


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry ``logger=name``; pass ``__name__``."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(name))


@contextmanager
def bound_log_context(**fields: Any) -> Iterator[None]:
    """Add `fields` (``job_id``, ``project_id``, …) to every line logged inside the block, in this thread or task."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def _open_export(settings: Settings, service: str, *, wanted: bool) -> None:
    if not wanted:
        _State.export = None
    elif _State.export is None or _State.export.service != service:
        _State.export = LogExport(service, settings.environment)


def _last_processors(settings: Settings) -> list[Processor]:
    shared: list[Processor] = [structlog.processors.format_exc_info, withhold, _count, _export]
    if settings.log_format == "console":
        plain = structlog.dev.plain_traceback
        colors = sys.stderr.isatty()
        return [*shared, _neutralize, structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]
    return [*shared, _render_json]


def _named_service(service: str) -> Processor:
    def add_service(_logger: Any, _method: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    return add_service


def _add_trace(_logger: Any, _method: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid and "trace_id" not in event:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
        event["span_id"] = trace.format_span_id(context.span_id)
    return event


def _add_logger(logger: Any, _method: str, event: EventDict) -> EventDict:
    record = event.get("_record")
    event["logger"] = logger.name if record is None else record.name
    return event


def _encode_ids(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Ids as the API writes them, so that a log line can be found by an id that a client received."""
    for name in event.keys() & FIELDS.keys():
        event[name] = encode_field(name, event[name])
    return event


def _limit_repeats(_logger: Any, _method: str, event: EventDict) -> EventDict:
    level = event["level"]
    if level in LIMITED and "repeated" not in event and not _REPEATS.admits(key_of(level, event["logger"], event)):
        raise structlog.DropEvent
    return event


def _admits_record(record: logging.LogRecord) -> bool:
    """The same for the standard library's records, which are equal when their unformatted messages are."""
    level = record.levelname.lower()
    return level not in LIMITED or _REPEATS.admits(Key(level, record.name, str(record.msg)))


def _report_repeats(key: Key, count: int) -> None:
    log = get_logger(key.logger)
    (log.error if key.level == "error" else log.warning)(key.event, **fields_of(key, count))


def _count(_logger: Any, _method: str, event: EventDict) -> EventDict:
    LOG_LINES.labels(event["level"]).inc()
    return event


def _export(_logger: Any, _method: str, event: EventDict) -> EventDict:
    if _State.export is not None:
        _State.export.put({**event, "schema": SCHEMA})
    return event


def _neutralize(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """For a terminal: text from outside must not move its cursor or color its lines."""
    return {name: neutralize(value) if isinstance(value, str) else value for name, value in event.items()}


def _render_json(_logger: Any, _method: str, event: EventDict) -> str:
    event = {"schema": SCHEMA, **event}
    try:
        return escape(orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode())
    except TypeError:
        # Integers above 64 bits and lone surrogates; a line must not be lost because of them.
        return json.dumps(event, default=str)


_REPEATS = Repeats(_report_repeats)
