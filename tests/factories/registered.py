"""Models of the registry that simulators answer for: deployments in an operator's file, versions in the database."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

from sqlalchemy import text

from core.audit.record import Actor
from core.kit.ids import new_id
from core.kit.settings import Settings
from core.registry.deployments import read_deployments
from core.registry.records import Model, Owner, Version
from core.registry.service import ModelRegistry
from core.registry.stages import service as stages
from tests.factories.jobs import Tenant
from tests.factories.provider_simulator import ProviderSimulator

INPUT_USD, OUTPUT_USD = Decimal("0.001"), Decimal("0.002")
ABILITIES = ("streams", "writes", "tools", "json_schema", "vision")


def write_deployments(folder: Path, *, max_attempts: int = 1, **simulators: ProviderSimulator) -> Path:
    """The operator's file, with one deployment per simulator."""
    path = folder / "deployments.toml"
    path.write_text(
        "\n".join(
            f'[[deployment]]\nname = "{name}"\nprovider = "openai-compatible"\nbase_url = "{simulator.base_url}"\n'
            f"max_attempts = {max_attempts}\n"
            for name, simulator in simulators.items()
        ),
        encoding="utf-8",
    )
    return path


def set_prices(tenant: Tenant, model: str) -> None:
    """A price for a token read and one for a token written, as the operator would set them."""
    with tenant.database.system() as session:
        for unit, price in (("input_tokens", INPUT_USD), ("output_tokens", OUTPUT_USD)):
            session.execute(
                text(
                    "INSERT INTO prices (id, organization_id, provider, model, unit, usd_per_unit, valid_from, source)"
                    " VALUES (:id, :organization, 'openai-compatible', :model, :unit, :price, now(), 'operator')"
                ),
                {
                    "id": new_id(),
                    "organization": tenant.principal.organization_id,
                    "model": model,
                    "unit": unit,
                    "price": price,
                },
            )


class Registrar:
    """Enters models for one tenant."""

    def __init__(self, settings: Settings, tenant: Tenant) -> None:
        self._tenant = tenant
        self._owner = Owner(tenant.principal.organization_id, Actor("system"))
        self._registry = ModelRegistry(read_deployments(settings))

    def model(self, name: str, *versions: dict[str, Any]) -> tuple[Model, Sequence[Version]]:
        """A model with these versions, the first of which is the champion."""
        with self._tenant.database.tenant(self._tenant.principal.organization_id) as session:
            model = self._registry.create(session, self._owner, name)
            made = [
                self._registry.add_version(
                    session,
                    self._owner,
                    model.id,
                    self._registry.complete(
                        {"provider_model": name, "context_window": 8192, "abilities": ABILITIES, **version}
                    ),
                )
                for version in versions
            ]
            stages.promote(session, self._owner, model.id, 1, reason="the first")
        return model, made

    def promote(self, model: Model, number: int) -> None:
        """Make a version the champion."""
        with self._tenant.database.tenant(self._tenant.principal.organization_id) as session:
            stages.promote(session, self._owner, model.id, number, reason="better")
