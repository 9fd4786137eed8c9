"""The models of one job: which of them it may call, for what, and by which arm of an experiment."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast
from uuid import UUID

from core.capability import JobContext
from core.gateway.embedding_calls import embed_locally, embed_remotely
from core.gateway.models import ChatRequest
from core.gateway.request_guard import Guarded
from core.gateway.requests import require_abilities
from core.gateway.routing import LOCAL, may_see
from core.gateway.untrusted import Heard
from core.guard.links import strip_links
from core.guard.policy import CombinedPolicy
from core.kit.errors import CapabilityFailure
from core.kit.logging import get_logger
from core.registry.prompts.records import ChosenPrompt
from core.registry.records import ResolvedModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from core.kit.db import Executor

from core.gateway.routed import RoutedStream
from core.gateway.shared import Choice, FailedRequests, Shared

_log = get_logger(__name__)


class JobModels:
    """The models, for one attempt of one job. Cheap to create; thread-safe."""

    def __init__(self, shared: Shared, ctx: JobContext, failed_requests: FailedRequests) -> None:
        self._shared = shared
        self._ctx = ctx
        self._failed_requests = failed_requests

    @property
    def policy(self) -> CombinedPolicy:
        """The guard policy of the organization combined with that of the project."""
        return self._shared.policy_of(self._ctx)

    def strip_links(self, text: str) -> str:
        """`text`, which came from outside, as it may appear in an answer: without links that are not allowed."""
        policy = self.policy
        return strip_links(text, Heard((), (), ()).links(policy))[0] if policy.untrusted.links else text

    def resolve(self, name: str, *, pinned: UUID | None = None) -> ResolvedModel:
        """The model called `name` for this job: `pinned`, its experiment arm's, or the catalogue's.

        Raises `ModelUnknown` when there is none.
        """
        ctx = self._ctx
        if pinned is None:
            pinned = self._failed_requests.arms.version_of(self._shared.experiments, ctx, name)
        return self._shared.catalogue.resolve(
            cast("Executor", ctx.executor),
            organization_id=ctx.organization_id,
            project_id=ctx.project_id,
            capability=ctx.capability,
            name=name,
            pinned=pinned,
        )

    def prompt(self, name: str, model: ResolvedModel) -> ChosenPrompt | None:
        """The replacement for the capability's file for the prompt `name` when `model` reads it. None means the file.

        Raises `core.registry.prompts.cache.PromptUnknown` for a digest that matches no version.
        """
        executor = self._ctx.executor
        if self._shared.prompts is None or executor is None:
            return None
        return self._shared.prompts.choose(
            executor,
            organization_id=self._ctx.organization_id,
            name=name,
            prompt_set=model.prompt_set,
            pinned=self._failed_requests.arms.prompt_of(self._shared.experiments, self._ctx, name),
        )

    @contextmanager
    def chat(self, name: str, request: ChatRequest) -> Iterator["RoutedStream"]:
        """Call the model called `name`. Leaving the block closes the provider's stream and settles the call.

        Where the job's data class is above a model's ceiling, the next in the fallback chain is called. Raises
        `CapabilityFailure` (``model_unknown``, ``model_lacks_ability``, and ``model_data_class`` when none of them may
        see the data) and the errors of `RequestGuard.chat`. While iterating, raises `core.gateway.errors.GatewayError`
        once tries and fallbacks are exhausted, and whatever `JobContext.call_model` and `JobContext.check` raise.
        """
        first = self.resolve(name)
        require_abilities(first, request)
        stream = RoutedStream(self._shared, self._ctx, self._failed_requests, self._chain(first, request), request)
        try:
            yield stream
        finally:
            stream.close()

    def embed(
        self,
        name: str,
        texts: Sequence[str],
        *,
        dimensions: int | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> "NDArray[np.float32]":
        """Texts to unit vectors of shape (len(texts), dimensions), metered as ``embedding_tokens`` batch by batch.

        `dimensions` is requested from models that can shorten their vectors; a model that returns others fails the job.

        `on_progress` receives the number of finished texts and the total after every batch (32 texts in this process,
        256 elsewhere). Raises `core.gateway.errors.GatewayError` when the provider fails, and as `RequestGuard`.
        """
        model = self.resolve(name)
        shared, texts = self._shared, self._failed_requests.guard.texts(model, texts)
        # Checked after the texts were screened, which may raise the data class.
        if not self._may_see(model):
            raise self._refused([model])
        reached = shared.deployments.reach_embedder(model)
        if reached.local is not None:
            return embed_locally(self._ctx, model, reached.local, texts, on_progress, dimensions=dimensions)
        return embed_remotely(
            self._ctx,
            model,
            reached,
            texts,
            on_progress,
            dimensions=dimensions,
            breakers=shared.breakers,
            backoff=shared.backoff,
        )

    def _chain(self, first: ResolvedModel, request: ChatRequest) -> Iterator[Choice]:
        """The model and its fallbacks, once each, with what they may read. Those that may not answer are left out.

        Raises `CapabilityFailure` (``model_data_class``) when none of them may see the job's data, and the errors of
        `RequestGuard.chat`.
        """
        guarded: dict[bool, Guarded] = {}
        refused: list[ResolvedModel] = []
        has_any = False
        for model in self._named(first):
            if model is not first:
                try:
                    require_abilities(model, request)
                except CapabilityFailure as refusal:
                    _log.info("fallback_left_out", model=model.model, code=refusal.code)
                    continue
            is_local = model.provider == LOCAL
            # Checked only now, after the text was screened, which may raise the data class.
            if self._may_see(model) and is_local not in guarded:
                guarded[is_local] = self._failed_requests.guard.chat(model, request)
            if self._may_see(model):
                has_any = True
                yield model, guarded[is_local]
            else:
                refused.append(model)
                _log.info("model_left_out", model=model.model, data_class=self._ctx.data_class.value)
        if not has_any:
            raise self._refused(refused)

    def _may_see(self, model: ResolvedModel) -> bool:
        data_class = self._ctx.data_class
        return may_see(model, data_class, self.policy.regions(data_class))

    def _refused(self, models: Sequence[ResolvedModel]) -> CapabilityFailure:
        data_class = self._ctx.data_class
        regions = self.policy.regions(data_class)
        ceilings = ", ".join(f"{model.model} up to {model.data_class_ceiling}{_place(model)}" for model in models)
        within = "" if regions is None else f"; it may go to {', '.join(sorted(regions)) or 'no region'} only"
        return CapabilityFailure(
            f"this job's data is {data_class}, and no model available to it may process that class: {ceilings}{within}",
            code="model_data_class",
        )

    def _named(self, first: ResolvedModel) -> Iterator[ResolvedModel]:
        seen = {first.model}
        yield first
        for name in first.fallbacks:
            if name not in seen:
                seen.add(name)
                yield self.resolve(name)


def _place(model: ResolvedModel) -> str:
    return f" in {', '.join(model.regions)}" if model.regions else ""
