"""What the calls of a process share, and what those of one job have spent."""

from dataclasses import dataclass, field
from threading import Lock

from core.gateway.arms import AttemptArms
from core.gateway.cache import ResponseCache
from core.gateway.content import ContentCapture
from core.gateway.errors import GatewayError
from core.gateway.guarding import Guarded, RequestGuard
from core.gateway.resilience.backoff import Backoff
from core.gateway.resilience.breaker import Breakers
from core.gateway.routing import Catalogue, Deployments
from core.gateway.untrusted import PolicyOf, standard_policy
from core.guard.guard import Guard
from core.registry.experiments.book import ExperimentBook
from core.registry.prompts.book import PromptBook
from core.registry.records import ResolvedModel

# A model that may be asked, and what it may read of the request.
Choice = tuple[ResolvedModel, Guarded]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all jobs of a process share.

    Without `experiments` and `prompts` nothing overrides models and prompts; without a `guard` nothing is screened.
    """

    catalogue: Catalogue
    deployments: Deployments
    experiments: ExperimentBook | None = None
    prompts: PromptBook | None = None
    breakers: Breakers
    backoff: Backoff
    cache: ResponseCache | None
    guard: Guard | None = None
    policy_of: PolicyOf = standard_policy
    # What spans show of messages; None: nothing.
    content: ContentCapture | None = None


@dataclass(slots=True)
class Spent:
    """What is remembered of one attempt: its arm, failed requests, and whether a model has read text from outside.

    Whoever repeats one of those gets the same error and pays nothing.
    """

    arms: AttemptArms = field(default_factory=AttemptArms)
    guard: RequestGuard = field(default_factory=lambda: RequestGuard(None))
    errors: dict[str, GatewayError] = field(default_factory=dict)
    has_read: bool = False
    lock: Lock = field(default_factory=Lock)
