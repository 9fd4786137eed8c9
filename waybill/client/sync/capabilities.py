"""Capabilities: what can be asked for."""

# Written by `python -m waybill.client.generate` from aio/capabilities.py: change that, and run it again.

from waybill.client.models import Capability, Page
from waybill.client.sync.endpoints import Endpoints


class Capabilities(Endpoints):
    """``/v1/capabilities``."""

    def list(self) -> Page[Capability]:
        """All capabilities this API offers."""
        return self._get(Page[Capability], "/v1/capabilities")

    def get(self, name: str) -> Capability:
        """The capability called `name`, for example ``knowledge.search``. Raises `NotFound` when unknown."""
        return self._get(Capability, f"/v1/capabilities/{name}")
