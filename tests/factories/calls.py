"""Calls through the gateway by a claimed job on real Postgres, and what the ledger says of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from uuid import UUID

from sqlalchemy import text

from core.gateway.deployments import OpenedDeployments
from core.gateway.embeddings.minilm import load_minilm
from core.gateway.models import ChatRequest, Text
from core.gateway.providers.openai_compatible import OpenAICompatible
from core.gateway.resilience.backoff import Backoff
from core.gateway.resilience.breaker import Breakers
from core.gateway.routing import CHAT, BuiltInCatalogue, Reached, ReachedEmbedder
from core.gateway.service import Gateway
from core.guard.guard import Guard
from core.kit.db import Executor
from core.kit.ids import JOB, encode, new_id
from core.kit.settings import Settings
from core.ledger.records import Entry
from core.ledger.service import entries_of
from core.registry.deployments import DeploymentCatalogue
from core.registry.errors import ModelUnknown
from core.registry.records import ResolvedModel
from tests.factories.attempts import Attempt, attempt
from tests.factories.jobs import Tenant
from tests.factories.provider_simulator import ProviderSimulator, Tokens, count_words

INPUT_USD, OUTPUT_USD = Decimal("0.001"), Decimal("0.002")
QUICK = Backoff(base_seconds=0.001, max_seconds=0.002)


def asked(text_: str = "Tell me about parcels.", **rest: object) -> ChatRequest:
    """A request of one message."""
    return ChatRequest.of_parts((Text(text_),), **{"max_output_tokens": 64, **rest})


class SimulatedModels:
    """A catalogue and its deployments: each named simulator is a model of a deployment of its own, in this order."""

    def __init__(self, max_attempts: int = 3, **simulators: ProviderSimulator) -> None:
        self._max_attempts = max_attempts
        self._base = BuiltInCatalogue(Settings(model_base_url="http://127.0.0.1:9/v1", model_name="built-in"))
        template = self._base.resolve(None, organization_id=new_id(), project_id=new_id(), capability="", name=CHAT)  # type: ignore[arg-type]
        names = tuple(simulators)
        self.models = {
            name: replace(
                template,
                model=name,
                deployment=name,
                provider_model=name,
                price_model=name,
                fallbacks=names[place + 1 :],
            )
            for place, name in enumerate(names)
        }
        self._providers = {
            name: OpenAICompatible(
                base_url=simulator.base_url,
                api_key="key",
                model=name,
                timeout_seconds=10,
                count_tokens=count_words,
            )
            for name, simulator in simulators.items()
        }

    def resolve(
        self,
        executor: Executor,  # noqa: ARG002 - nothing is read
        *,
        organization_id: UUID,  # noqa: ARG002 - the same for all
        project_id: UUID,  # noqa: ARG002
        capability: str,  # noqa: ARG002
        name: str,
        pinned: UUID | None = None,  # noqa: ARG002
    ) -> ResolvedModel:
        """See `Catalogue.resolve`; the first model is the default."""
        wanted = next(iter(self.models)) if name == CHAT else name
        if wanted not in self.models:
            raise ModelUnknown(f"there is no model {name!r}")
        return self.models[wanted]

    def reach(self, model: ResolvedModel) -> Reached:
        """See `Deployments.reach`."""
        return Reached(self._providers[model.model], self._max_attempts)

    def reach_embedder(self, model: ResolvedModel) -> ReachedEmbedder:
        """See `Deployments.reach_embedder`: the embedded one."""
        return OpenedDeployments(DeploymentCatalogue({}), load_minilm).reach_embedder(model)

    def close(self) -> None:
        """Close the connections."""
        for provider in self._providers.values():
            provider.close()


@contextmanager
def simulated(
    settings: Settings,
    *,
    max_attempts: int = 3,
    backoff: Backoff = QUICK,
    breakers: Breakers | None = None,
    guard: Guard | None = None,
    **simulators: ProviderSimulator,
) -> Iterator[tuple[Gateway, SimulatedModels]]:
    """A gateway whose models are these simulators."""
    models = SimulatedModels(max_attempts, **simulators)
    gateway = Gateway(settings, catalogue=models, deployments=models, backoff=backoff, breakers=breakers, guard=guard)
    try:
        yield gateway, models
    finally:
        gateway.close()


@dataclass
class Caller:
    """A job that was claimed, and its ledger."""

    tenant: Tenant
    settings: Settings
    job_ids: list[UUID] = field(default_factory=list)
    attempts: list[Attempt] = field(default_factory=list)

    @contextmanager
    def job(self) -> Iterator[Attempt]:
        """A new job's first attempt."""
        job_id = self.tenant.submit()
        self.job_ids.append(job_id)
        with attempt(self.settings, encode(JOB, job_id)) as driven:
            self.attempts.append(driven)
            yield driven

    def settled(self, job_id: UUID) -> Sequence[Entry]:
        """The job's settlements, once all calls that have ended are settled."""
        for driven in self.attempts:
            driven.context.wait_settled()
        single = self.tenant.database.single_tenant(self.tenant.principal.organization_id)
        return [entry for entry in entries_of(single, self.tenant.principal, job_id) if entry.kind == "settlement"]

    def price(self, *models: str) -> None:
        """Give these models a price."""
        with self.tenant.database.system() as session:
            for model in models:
                for unit, price in (("input_tokens", INPUT_USD), ("output_tokens", OUTPUT_USD)):
                    session.execute(
                        text(
                            "INSERT INTO prices"
                            " (id, organization_id, provider, model, unit, usd_per_unit, valid_from, source) VALUES"
                            " (:id, :organization, 'openai-compatible', :model, :unit, :price, now(), 'operator')"
                        ),
                        {
                            "id": new_id(),
                            "organization": self.tenant.principal.organization_id,
                            "model": model,
                            "unit": unit,
                            "price": price,
                        },
                    )


def billed(entries: Sequence[Entry]) -> Tokens:
    """What the ledger's lines add up to."""
    return Tokens(
        sum(entry.quantities.get("input_tokens", 0) for entry in entries),
        sum(entry.quantities.get("output_tokens", 0) for entry in entries),
    )


def cost_of(tokens: Tokens) -> Decimal:
    """What they cost at the prices that `Caller.price` gives."""
    return tokens.input * INPUT_USD + tokens.output * OUTPUT_USD
