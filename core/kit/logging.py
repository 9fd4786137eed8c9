"""Structured logs: one line per event on standard error, as JSON for machines or in colour for a person.

An event is a constant in snake_case and every value is a field, so that logs can be counted and joined. What a job
carries (inputs, results, prompts) never reaches a log: fields with such names are withheld, and secrets inside other
strings are masked, whoever logged them.
"""

import atexit
import json
import logging
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from traceback import format_tb
from typing import Any, cast

import orjson
import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor

from core.kit.ids import FIELDS, encode_field
from core.kit.settings import Settings
from core.kit.terminal import escape, neutralize

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
    # Foreign exceptions quote what they choked on: SQLAlchemy its parameters, Postgres the row, pydantic the input.
    (re.compile(r"\[parameters: .*", re.DOTALL), f"[parameters: {_WITHHELD}]"),
    (re.compile(r"^(DETAIL|CONTEXT):.*$", re.MULTILINE), rf"\1: {_WITHHELD}"),
    (re.compile(r"input_value=.*?(?=, input_type=|$)", re.MULTILINE), f"input_value={_WITHHELD}"),
)
# A cheap test that decides whether the expressions above are worth running on a value.
# A line that is longer says nothing to a person, and scrubbing it would hold up everything else.
_TEXT_MAX_CHARACTERS = 16_384
# A password in a URL that the cut has parted from its @.
_CUT_OPEN = re.compile(r"://[^\s/@]*\Z")
_SUSPECT = re.compile(r"@|wb_live_|bearer|basic|=|\[parameters|DETAIL|CONTEXT", re.IGNORECASE)
_NOISY = ("httpcore", "httpx", "urllib3", "asyncio")


def scrub(text: str) -> str:
    """`text` with passwords in URLs, keys, tokens and quoted statement parameters masked.

    What is longer than 16,384 characters is cut first, and says by how much.
    """
    if (over := len(text) - _TEXT_MAX_CHARACTERS) > 0:
        return f"{scrub(_CUT_OPEN.sub(f'://{MASK}', text[:_TEXT_MAX_CHARACTERS]))} [{over:,} more characters]"
    if _SUSPECT.search(text) is None:
        return text
    for pattern, replacement in _SCRUBBED:
        text = pattern.sub(replacement, text)
    return text


def configure_logging(settings: Settings, *, service: str, hold_seconds: float = 0.0) -> None:
    """Set up structlog and route the standard library's logging through it; `service` names the process's role.

    Safe to call again, for example in a forked child; the last call wins. A process that does not fork may hold its
    less important lines for `hold_seconds`, to write many at once.
    """
    _SINK.start(hold_seconds)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _named_service(service),
        _add_logger,
        _add_trace,
        _encode_ids,
        structlog.processors.StackInfoRenderer(),
    ]
    last = _last_processors(settings)
    level = getattr(logging, settings.log_level.upper())
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Lines,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(_SINK)
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
    # It warns of every statement that Postgres refuses inside a pipeline, which for us is how a budget says no.
    logging.getLogger("psycopg").setLevel(logging.ERROR)


def get_logger(name: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry ``logger=name``; pass ``__name__``."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(name))


def without_text(error: BaseException) -> str:
    """The traceback of `error` without the text of any exception: that may quote what was being read."""
    return "".join((*format_tb(error.__traceback__), f"{type(error).__name__}: {_WITHHELD}\n"))


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
            _neutralize,
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


def _encode_ids(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Ids as the API writes them, so that a line of the log can be found by what a client was told."""
    for name in event.keys() & FIELDS.keys():
        event[name] = encode_field(name, event[name])
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


def _neutralize(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """For a terminal: a path or an answer of others must not move its cursor or colour its lines."""
    return {name: neutralize(value) if isinstance(value, str) else value for name, value in event.items()}


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
        return escape(orjson.dumps(event, default=str, option=orjson.OPT_NON_STR_KEYS).decode())
    except TypeError:
        # Integers above 64 bits and lone surrogates; a line must not be lost over them.
        return json.dumps(event, default=str)


class _Sink:
    """Where finished lines go: standard error as it is now, which a test or a daemon may replace at any time.

    With `hold_seconds`, lines that nobody waits for are written together by a thread: each write gives up the
    interpreter's lock, and on a busy event loop winning it back costs more than the request that is being logged.
    """

    def __init__(self) -> None:
        self.hold_seconds = 0.0
        self._held: deque[str] = deque()
        self._filled = threading.Event()
        self._thread: threading.Thread | None = None

    def write(self, text: str) -> int:
        """Write at once, after what is held. The standard library's handler calls this."""
        self._held.append(text)
        self.flush()
        return len(text)

    def hold(self, text: str) -> None:
        """Write soon, or at once when nothing is to be held."""
        if not self.hold_seconds:
            self.write(text)
            return
        self._held.append(text)
        if not self._filled.is_set():
            self._filled.set()

    def flush(self) -> None:
        """Write what is held."""
        lines = []
        while self._held:
            try:
                lines.append(self._held.popleft())
            except IndexError:  # another thread took the last one
                break
        if lines:
            sys.stderr.write("".join(lines))

    def start(self, hold_seconds: float) -> None:
        """Hold lines for up to `hold_seconds` from now on; 0 writes each at once."""
        self.hold_seconds = hold_seconds
        if hold_seconds and (self._thread is None or not self._thread.is_alive()):
            self._thread = threading.Thread(target=self._run, name="log-lines", daemon=True)
            self._thread.start()
            atexit.register(self.flush)

    def _run(self) -> None:
        while True:
            self._filled.wait()
            time.sleep(self.hold_seconds)
            self._filled.clear()
            self.flush()


_SINK = _Sink()


class _Lines:
    """What structlog hands a finished line to. Whatever may be followed by a crash is written at once."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def info(self, line: str) -> None:
        _SINK.hold(line + "\n")

    def error(self, line: str) -> None:
        _SINK.write(line + "\n")

    debug = msg = log = info
    warning = critical = fatal = exception = error
