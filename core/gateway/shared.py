"""State shared by the calls of a process, and by those of one job."""

from dataclasses import dataclass, field
from threading import Lock

from core.gateway.arms import AttemptArms
from core.gateway.cache import ResponseCache
from core.gateway.content import ContentCapture
from core.gateway.errors import GatewayError
from core.gateway.request_guard import Guarded, RequestGuard
from core.gateway.resilience.backoff import Backoff
from core.gateway.resilience.breaker import Breakers
from core.gateway.routing import Catalogue, Deployments
from core.gateway.untrusted import PolicyOf, standard_policy
from core.guard.guard import Guard
from core.registry.experiments.cache import ExperimentCache
from core.registry.prompts.cache import PromptCache
from core.registry.records import ResolvedModel

# A model that may be called, and the request as it may read it.
Choice = tuple[ResolvedModel, Guarded]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """State shared by all jobs of a process.

    Without `experiments` and `prompts` nothing overrides models and prompts; without a `guard` nothing is screened.
    """

    catalogue: Catalogue
    deployments: Deployments
    experiments: ExperimentCache | None = None
    prompts: PromptCache | None = None
    breakers: Breakers
    backoff: Backoff
    cache: ResponseCache | None
    guard: Guard | None = None
    policy_of: PolicyOf = standard_policy
    # Captures messages for spans; None captures nothing.
    content: ContentCapture | None = None


@dataclass(slots=True)
class FailedRequests:
    """State of one attempt: its arm, its failed requests, and whether a model has read text from outside.

    Repeating a failed request raises the same error and costs nothing.
    """

    arms: AttemptArms = field(default_factory=AttemptArms)
    guard: RequestGuard = field(default_factory=lambda: RequestGuard(None))
    errors: dict[str, GatewayError] = field(default_factory=dict)
    has_read: bool = False
    lock: Lock = field(default_factory=Lock)
