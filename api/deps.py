"""Resources that every route may use: connections, services and threads of this process, opened and closed together."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import timedelta
from functools import partial
from typing import Any, ParamSpec, TypeVar, cast
from uuid import UUID

from starlette.requests import HTTPConnection

from api.announcer import Announcer
from api.failed_authentications import FailedAuthentications
from api.limits.gate import RateGate
from api.project_events.feed import Feeds
from api.proxies import TrustedProxies
from api.stream_guard import StreamGuard
from api.streaming import LiveHub
from core.batches.service import Batches
from core.files.service import FileService
from core.guard.analyzer import open_analyzer
from core.guard.policies import PolicyCache
from core.guard.pseudonyms import PseudonymKeys
from core.guard.service import GuardService
from core.jobs.live import LivePublisher
from core.jobs.retention.service import RetentionService
from core.jobs.service import JobService
from core.keys import repository as keys
from core.keys.authentication import Authenticator
from core.keys.members.service import MemberService
from core.keys.principal import Principal
from core.keys.projects.service import ProjectService
from core.keys.service import KeyService
from core.keys.usage import KeyUsage
from core.kit.blob import open_blob_store
from core.kit.db import Database
from core.kit.redis import connect
from core.kit.settings import Settings
from core.kit.signing import Keyring, Signer
from core.knowledge.service import KnowledgeService
from core.ledger.budgets import BudgetService
from core.limits.cache import CallersLimits, LimitCache
from core.limits.service import LimitService
from core.quality.annotations.service import Annotations
from core.registry.catalogue.catalogue import ModelCatalogue
from core.registry.deployments import read_deployments
from core.registry.experiments.service import ExperimentService
from core.registry.service import ModelRegistry
from core.webhooks.service import WebhookService
from core.webhooks.targets import TargetPolicy

_Arguments = ParamSpec("_Arguments")
_Returned = TypeVar("_Returned")
_Question = TypeVar("_Question")
_Answer = TypeVar("_Answer")


class Runtime:
    """Everything a process holds while it serves. Built after any fork, inside the event loop."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.database = Database(settings, application_name="waybill-api")
        self.key_usage = KeyUsage(self.database)
        self.authenticator = Authenticator(settings, self.database, self.key_usage)
        self.proxies = TrustedProxies(settings.api_trusted_proxies)
        self.failed_authentications = FailedAuthentications(settings.api_failed_authentications_per_minute)
        self.keys = KeyService(settings)
        self.projects = ProjectService()
        self.members = MemberService(settings)
        self.blobs = open_blob_store(settings)
        self.limit_cache = LimitCache(settings)
        self.limits = LimitService(self.limit_cache)
        self.retention = RetentionService(settings)
        self.guard = GuardService(settings)
        self.guard_policies = PolicyCache(settings)
        self.pseudonyms = PseudonymKeys(settings)
        self.rates = RateGate(settings)
        self.jobs = JobService(settings, self.blobs, self.limit_cache)
        self.files = FileService(settings, self.blobs)
        self.batches = Batches(self.jobs)
        self.annotations = Annotations(self.jobs)
        self.knowledge = KnowledgeService()
        self.budgets = BudgetService()
        self.models = ModelRegistry(read_deployments(settings))
        self.catalogue = ModelCatalogue(settings, self.models.deployments)
        self.experiments = ExperimentService()
        self.webhooks = WebhookService(settings)
        self.webhook_targets = TargetPolicy(settings)
        self.signer = Signer.from_settings(settings) if settings.signing_key is not None else None
        self.keyring = Keyring.from_settings(settings)
        self.analyzer = open_analyzer(settings)
        self.redis = connect(settings)
        self.announcer = Announcer(LivePublisher(self.redis, settings))
        self.hub = LiveHub(settings)
        self.feeds = Feeds(self.hub)
        self.stream_guard = StreamGuard(self.end_keys)
        self.idempotency_ttl = timedelta(hours=settings.idempotency_ttl_hours)
        self._threads = ThreadPoolExecutor(settings.api_threads, thread_name_prefix="api")
        self._looking_up: dict[tuple[str, str | None], asyncio.Task[Principal]] = {}
        self._limits_looked_up: dict[Principal, asyncio.Task[CallersLimits]] = {}

    async def open(self) -> None:
        """Connect the event streams, and start the background work."""
        self.announcer.start()
        self.key_usage.start()
        await self.hub.open()
        self.stream_guard.open()

    async def close(self) -> None:
        """Close everything; items queued for Redis are sent first."""
        self.hub.stop_streams()
        await self.stream_guard.close()
        await self.feeds.close()
        await self.hub.close()
        await self.rates.close()
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, self.announcer.close)
        self._threads.shutdown(wait=True, cancel_futures=True)
        await loop.run_in_executor(None, self.key_usage.close)
        if self.analyzer is not None:
            self.analyzer.close()
        self.redis.close()
        self.database.close()

    async def in_thread(
        self,
        function: Callable[_Arguments, _Returned],
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,
    ) -> _Returned:
        """Run blocking work on one of the process's threads, with this task's context."""
        call = partial(copy_context().run, function, *arguments, **named)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def look_up_key(self, credential: str, project: str | None) -> Principal:
        """Authenticate `credential`. Concurrent requests with the same one share the result."""
        ask = partial(self.in_thread, self.authenticator.authenticate, credential, project)
        return await _shared(self._looking_up, (credential, project), ask)

    async def end_keys(self, key_ids: Sequence[UUID]) -> list[UUID]:
        """Return those of the keys that may no longer be used. This process stops caching any other result for them."""
        ended = await self.in_thread(keys.ended_keys, self.database.single_system(), key_ids)
        self.authenticator.evict(ended)
        return ended

    async def look_up_limits(self, principal: Principal) -> CallersLimits:
        """Read the caller's limits. Concurrent requests of the caller share the result."""
        session = self.database.single_tenant(principal.organization_id)
        ask = partial(self.in_thread, self.limit_cache.read, session, principal)
        return await _shared(self._limits_looked_up, principal, ask)


async def _shared(
    under_way: dict[_Question, "asyncio.Task[_Answer]"],
    question: _Question,
    ask: Callable[[], Coroutine[Any, Any, _Answer]],
) -> _Answer:
    task = under_way.get(question)
    if task is None:
        task = asyncio.create_task(ask())
        under_way[question] = task
        task.add_done_callback(partial(_answered, under_way, question))
    # Shielded: a client that disconnects must not cancel the result for the others.
    return await asyncio.shield(task)


def _answered(under_way: dict[Any, Any], question: Any, task: "asyncio.Task[Any]") -> None:
    del under_way[question]
    if not task.cancelled():
        task.exception()  # marks an error as retrieved, even when every waiting client has disconnected


def get_runtime(connection: HTTPConnection) -> Runtime:
    """The runtime of the application that received this request."""
    return cast("Runtime", connection.app.state.runtime)
