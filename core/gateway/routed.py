"""One answer from a chain of models. Every attempt is metered; only attempts that have shown nothing are retried."""

import hashlib
from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import count
from typing import Any, Self

from core.capability import JobContext, ModelUsage
from core.gateway.cache import CachedAnswer, digest_of
from core.gateway.embedding_calls import labels_of, ref_of
from core.gateway.errors import GatewayError, ProviderTimeout, ProviderUnavailable, cause_of_rest, was_turned_away
from core.gateway.models import Ability, ChatRequest, ChatStream, Chunk, Finish, Usage
from core.gateway.request_guard import Guarded
from core.gateway.requests import within
from core.gateway.resilience.backoff import wait
from core.gateway.routing import LOCAL, Reached
from core.gateway.shared import Choice, FailedRequests, Shared
from core.gateway.spans import CallSpan, call_span, request_attributes
from core.gateway.untrusted import Exchange, as_read, filtered, report
from core.guard.links import LinkStripper
from core.guard.policy import CombinedPolicy
from core.kit import semconv
from core.kit.clock import utc_now
from core.kit.closing import Closing
from core.kit.errors import Outage
from core.kit.logging import get_logger
from core.kit.metrics.models import measured, observe_cached, observe_fallback, observe_rest
from core.kit.semconv import Operation
from core.kit.telemetry import is_exporting
from core.registry.records import ResolvedModel

# Refusals caused by the deployment and not by the request: another may answer it.
_OURS = frozenset({"provider_key_refused", "provider_quota_exhausted", "provider_model_unknown"})
_log = get_logger(__name__)


class RoutedStream(Closing):
    """A `ChatStream` over as many attempts as needed. `model` is the one that answers, once it has started to."""

    def __init__(
        self,
        shared: Shared,
        ctx: JobContext,
        failed_requests: FailedRequests,
        chain: Iterator[tuple[ResolvedModel, Guarded]],
        request: ChatRequest,
    ) -> None:
        self._shared = shared
        self._ctx = ctx
        self._failed_requests = failed_requests
        self._chain = chain
        # The request as the called model may read it.
        self.model, self._guarded = next(chain)
        self._request = request
        self._current: ChatStream | None = None
        self._cached: CachedAnswer | None = None
        self._has_begun = False
        self._exchange: Exchange | None = None
        self._policy = shared.policy_of(ctx)
        self._pieces = self._produce()

    @property
    def abilities(self) -> frozenset[str]:
        """What the model can do."""
        return frozenset(self.model.abilities)

    @property
    def usage(self) -> Usage:
        """The consumption of the last attempt so far; earlier attempts have their own ledger lines."""
        return Usage(self.model.price_model, 0, 0) if self._current is None else self._current.usage

    @property
    def has_begun(self) -> bool:
        """Whether the model has produced anything: text, reasoning or a part of a tool call."""
        return self._cached is not None or (self._current is not None and self._current.has_begun)

    @property
    def finish(self) -> Finish | None:
        """Why the model ended."""
        if self._cached is not None:
            return self._cached.finish
        if self._exchange is not None and self._exchange.is_cut:
            return Finish.FILTERED
        return None if self._current is None else self._current.finish

    @property
    def request_id(self) -> str | None:
        """The provider's own id of the last attempt."""
        return None if self._current is None else self._current.request_id

    @property
    def model_reported(self) -> str | None:
        """The name of the model that answered, as the provider gives it."""
        if self._cached is not None:
            return self._cached.model_reported
        return None if self._current is None else self._current.model_reported

    @property
    def logprobs(self) -> list[dict[str, Any]] | None:
        """Those of the answer; None when the provider gave none, or when the answer was written with pseudonyms."""
        if self._current is None or self._guarded.has_pseudonyms:
            return None
        return self._current.logprobs

    @property
    def left_out(self) -> frozenset[str]:
        """Parameters of the request that the answering model does not take."""
        if self._cached is not None:
            return frozenset(self._cached.left_out)
        return frozenset() if self._current is None else self._current.left_out

    def link_stripper(self) -> LinkStripper | None:
        """Removes links from the shown parts of an answer, for a request that is not `cleaned`."""
        allowed = None if self._exchange is None else self._exchange.allowed
        return None if allowed is None else LinkStripper(allowed)

    def close(self) -> None:
        """Stop producing; the attempt is settled with its consumption."""
        self._pieces.close()

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Chunk:
        return next(self._pieces)

    @property
    def _keeps(self) -> bool:
        cache = self._shared.cache
        # Cached answers have no logprobs.
        is_whole = not self._request.options.get("logprobs")
        return cache is not None and is_whole and cache.serves(self._ctx.project_id, self._ctx.data_class)

    def _produce(self) -> Generator[Chunk, None, None]:
        # The policy decides what an answer may contain, so each policy has its own cache entries.
        first = self.model
        digest = None
        if self._keeps:
            digest = f"{digest_of(first, self._guarded.request)}:{_digest(self._policy)}"
        if digest is not None and self._shared.cache is not None:
            self._cached = self._shared.cache.get(self._ctx.project_id, digest)
        if self._cached is not None:
            yield from self._replay(self._cached)
            return
        chunks: list[Chunk] = []
        for chunk in self._answer():
            if digest is not None:
                chunks.append(chunk)
            yield from self._guarded.restored(chunk)
        yield from self._guarded.rest()
        # Only a complete answer of the model itself: neither a fallback's answer nor a partial one.
        whole = self.finish in {Finish.STOP, Finish.NO_ANSWER} and self.model is first
        if digest is not None and self._shared.cache is not None and whole and self.finish is not None and self._keeps:
            answer = CachedAnswer(tuple(chunks), self.finish, self.model_reported, tuple(self.left_out))
            self._shared.cache.put(self._ctx.project_id, digest, answer)

    def _replay(self, answer: CachedAnswer) -> Generator[Chunk, None, None]:
        with call_span(Operation.CHAT, self.model) as span, self._ctx.call_model(ref_of(self.model), {}) as call:
            span.settles_with(call)
            call.report(ModelUsage(self.model.price_model, {}, reason="cache"))
            span.set_attribute(semconv.CACHE_HIT, value=True)
            observe_cached(labels_of(self.model))
            for chunk in answer.chunks:
                self._ctx.check()
                yield from self._guarded.restored(chunk)
            yield from self._guarded.rest()

    def _answer(self) -> Generator[Chunk, None, None]:
        """The first answer of the chain. Raises the last error when no model started one."""
        first = self.model
        failed: GatewayError | None = None
        given_up: tuple[str, str] | None = None
        if self._failed_requests.errors and (
            failed := self._failed_requests.errors.get(digest_of(first, self._request))
        ):
            raise failed
        for model, guarded in self._models():
            self.model, self._guarded = model, guarded
            if given_up is not None:
                observe_fallback(*given_up)
            try:
                yield from self._tries(model)
            except GatewayError as error:
                if self._has_begun or not (error.retryable or error.code in _OURS):
                    raise
                _log.info("model_gave_up", model=model.model, code=error.code)
                given_up = (model.deployment, error.code)
                if error.is_outage:
                    error.outage = Outage(f"model deployment {model.deployment}", error.retry_after_seconds)
                # While any model of the chain is unavailable, a later attempt may succeed.
                if failed is None or failed.outage is None:
                    failed = error
            else:
                return
        if failed is None:
            raise ProviderUnavailable("No model of the chain could be asked.")
        with self._failed_requests.lock:
            self._failed_requests.errors[digest_of(first, self._request)] = failed
        raise failed

    def _models(self) -> Iterator[Choice]:
        yield self.model, self._guarded
        yield from self._chain

    def _tries(self, model: ResolvedModel) -> Generator[Chunk, None, None]:
        """One deployment, tried as often as is worthwhile."""
        reached = self._shared.deployments.reach(model)
        # A later attempt of the job is itself a retry: it calls once, so that retries add up and never multiply.
        most = reached.max_attempts if self._ctx.attempt == 1 else 1
        for number in count(1):
            try:
                with self._shared.breakers.guard(model.deployment, "chat") as breaker:
                    for chunk in self._attempt(model, reached):
                        breaker.succeed()
                        yield chunk
            except GatewayError as error:
                pause = None if self._has_begun or not error.retryable else self._pause(number, most, error)
                if pause is None:
                    raise
                observe_rest(model.deployment, "chat", cause_of_rest(error), pause)
            else:
                return
            wait(pause, self._ctx.check)

    def _pause(self, number: int, most: int, error: GatewayError) -> float | None:
        # After a full timeout on a silent provider, do not hold the worker any longer.
        if number >= most or (error.is_outage and isinstance(error, ProviderTimeout)):
            return None
        seconds = self._shared.backoff.seconds(number, error)
        if seconds is not None and self._ctx.deadline_at is not None:
            left = (self._ctx.deadline_at - utc_now()).total_seconds()
            return None if seconds >= left else seconds
        return seconds

    def _attempt(self, model: ResolvedModel, reached: Reached) -> Generator[Chunk, None, None]:
        """One request to the provider, with its own ledger call."""
        provider, request, exchange = reached.provider, within(model, self._guarded.request), None
        if Ability.WRITES in provider.abilities:
            exchange = self._exchange = Exchange(request, self._policy, has_read=self._failed_requests.has_read)
            self._failed_requests.has_read = self._failed_requests.has_read or exchange.has_data
            request = exchange.request
        else:
            request = as_read(request, None, None)
        with (
            call_span(Operation.CHAT, model, reached.address) as span,
            self._ctx.call_model(ref_of(model), provider.bound(request)) as call,
            measured("chat", labels_of(model)) as timing,
        ):
            span.settles_with(call)
            span.set_attributes(request_attributes(request))

            def check() -> None:
                # Before the job's check: if that ends the call, the usage received so far is metered.
                if stream.has_begun:
                    timing.begin()
                    if model.provider != LOCAL:
                        call.checkpoint_usage(lambda: stream.usage.to_model_usage().quantities)
                self._ctx.check()

            stream = self._current = provider.stream(request, check=check)
            refused: GatewayError | None = None
            try:
                for chunk in stream if exchange is None else filtered(exchange, self._begun(stream)):
                    span.hear(chunk, is_kept=self._shared.content is not None)
                    self._has_begun = True
                    timing.begin()
                    yield chunk
            except GatewayError as error:
                refused = error
                # It responded and then broke off: a retry costs again.
                error.is_outage = error.is_outage and not stream.has_begun
                raise
            finally:
                # However the stream ended, its consumption up to then is metered.
                stream.close()
                used = stream.usage
                if refused is not None and not stream.has_begun and was_turned_away(refused):
                    used = Usage(used.model, 0, 0)
                timing.output_tokens = used.output_tokens
                usage = used.to_model_usage()
                call.report(replace(usage, model=model.price_model))
                span.used(usage)
                span.answered(stream)
                self._show(span, model, request, stream.finish)
        if exchange is not None and exchange.counts:
            report(self._ctx, exchange.counts)

    def _show(self, span: CallSpan, model: ResolvedModel, request: ChatRequest, finish: Finish | None) -> None:
        """Attach prompt and answer, where the operator wants it. Content sent over a network is already redacted."""
        content = self._shared.content
        if content is None or not is_exporting():
            return
        mask = self._failed_requests.guard.masked
        mask_request = mask if model.provider == LOCAL else None
        shown = content.attributes(request, span.heard, finish, mask_request=mask_request, mask_answer=mask)
        span.set_attributes(shown)

    def _begun(self, stream: ChatStream) -> Iterator[Chunk]:
        for chunk in stream:
            self._has_begun = True
            yield chunk


def _digest(policy: CombinedPolicy) -> str:
    said = [policy.untrusted.model_dump_json(), *sorted(policy.link_hosts)]
    return hashlib.sha256("\n".join(said).encode()).hexdigest()
