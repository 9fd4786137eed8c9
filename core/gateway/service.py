"""The gateway of a process: the models that it can reach, and the calls that its jobs make."""

import weakref
from threading import Lock

from core.capability import JobContext
from core.gateway.cache import ResponseCache
from core.gateway.calls import JobModels
from core.gateway.content import ContentCapture
from core.gateway.deployments import OpenedDeployments
from core.gateway.models import Embedder
from core.gateway.request_guard import RequestGuard
from core.gateway.resilience.backoff import Backoff
from core.gateway.resilience.breaker import Breakers
from core.gateway.resilience.rests import SharedRests
from core.gateway.routing import BuiltInCatalogue, Catalogue, Deployments
from core.gateway.shared import FailedRequests, Shared
from core.gateway.untrusted import PolicyOf, standard_policy
from core.guard.guard import Guard
from core.guard.reporting import FindingsReport
from core.kit.settings import Settings
from core.registry.catalogue.catalogue import ModelCatalogue
from core.registry.deployments import DeploymentCatalogue, read_deployments
from core.registry.experiments.cache import ExperimentCache
from core.registry.prompts.cache import PromptCache


class Gateway:
    """The models of a process. Cheap to open; each model is loaded on first use, after any fork.

    `catalogue`, `experiments` and `prompts` are the registry's. Without them names have the meaning that the settings
    give, and nothing is read from the database; evaluations run this way. `guard` screens text to and from models, if
    set. `policy_of` gives the policy for text from outside; by default the guard's.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        embedding_threads: int | None = None,
        catalogue: Catalogue | None = None,
        configured: DeploymentCatalogue | None = None,
        deployments: Deployments | None = None,
        experiments: ExperimentCache | None = None,
        prompts: PromptCache | None = None,
        breakers: Breakers | None = None,
        backoff: Backoff | None = None,
        guard: Guard | None = None,
        policy_of: PolicyOf | None = None,
    ) -> None:
        self._embedding_threads = embedding_threads
        self._deployments = deployments or OpenedDeployments(configured or read_deployments(settings), self.embedder)
        self._failed_requests: dict[int, FailedRequests] = {}
        self._remembering = Lock()
        self._shared = Shared(
            catalogue=catalogue or BuiltInCatalogue(settings),
            deployments=self._deployments,
            experiments=experiments,
            prompts=prompts,
            breakers=breakers or Breakers(shared=_open_rests(settings)),
            backoff=backoff or Backoff(),
            cache=_open_cache(settings),
            guard=guard,
            policy_of=policy_of or (standard_policy if guard is None else guard.policy_of),
            content=ContentCapture(settings.trace_content_max_bytes) if settings.trace_content else None,
        )

    def for_job(self, ctx: JobContext) -> JobModels:
        """The models, for the attempt `ctx`. Every call made through it is metered; there is no other way to a model.

        Failed requests of an attempt are remembered as long as its context lives.
        """
        with self._remembering:
            failed_requests = self._failed_requests.get(id(ctx))
            if failed_requests is None:
                failed_requests = self._failed_requests[id(ctx)] = FailedRequests(guard=self._guard_of(ctx))
                weakref.finalize(ctx, self._failed_requests.pop, id(ctx), None)
        return JobModels(self._shared, ctx, failed_requests)

    def _guard_of(self, ctx: JobContext) -> RequestGuard:
        guard, executor = self._shared.guard, ctx.executor
        if guard is None:
            return RequestGuard(None)
        if executor is None:
            raise TypeError("a guarded gateway serves jobs that have a database")
        return RequestGuard(
            guard.for_job(
                executor,
                organization_id=ctx.organization_id,
                project_id=ctx.project_id,
                root_job_id=ctx.root_id,
                report=FindingsReport(ctx),
            )
        )

    def embedder(self) -> Embedder:
        """The embedded MiniLM, one copy per process. Raises `core.kit.errors.Unavailable` when it is not installed.

        For evaluations, and to count tokens. A job embeds through `for_job`.
        """
        from core.gateway.embeddings.minilm import load_minilm

        return load_minilm(threads=self._embedding_threads)

    def close(self) -> None:
        """Release the connections of the opened models. The next call opens them again."""
        self._deployments.close()
        self._shared.breakers.close()
        if self._shared.cache is not None:
            self._shared.cache.close()


def open_gateway(settings: Settings, *, embedding_threads: int | None = None) -> Gateway:
    """A gateway without a registry. `embedding_threads`: cores that one embedding call may use (2)."""
    return Gateway(settings, embedding_threads=embedding_threads)


def open_registered_gateway(settings: Settings, *, guard: Guard | None = None) -> Gateway:
    """A worker's gateway: names, arms and prompts are the registry's. Raises `Unavailable` for invalid deployments.

    Changes to the registry take effect here within two seconds; nothing is read before a job needs it.
    """
    configured = read_deployments(settings)
    return Gateway(
        settings,
        configured=configured,
        catalogue=ModelCatalogue(settings, configured),
        experiments=ExperimentCache(),
        prompts=PromptCache(),
        guard=guard,
    )


def _open_cache(settings: Settings) -> ResponseCache | None:
    if not settings.model_cache_projects:
        return None
    from core.kit.redis import connect

    return ResponseCache(
        connect(settings),
        key_prefix=settings.key_prefix,
        projects=frozenset(settings.model_cache_projects),
        ttl_seconds=settings.model_cache_ttl_seconds,
    )


def _open_rests(settings: Settings) -> SharedRests | None:
    if settings.redis_url is None:
        return None
    from core.kit.redis import connect

    return SharedRests(connect(settings), settings.key)
