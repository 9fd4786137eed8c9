"""Capabilities: what can be asked for."""

from waybill.client.aio.endpoints import AsyncEndpoints
from waybill.client.models import Capability, Page


class AsyncCapabilities(AsyncEndpoints):
    """``/v1/capabilities``."""

    async def list(self) -> Page[Capability]:
        """All capabilities this API offers."""
        return await self._get(Page[Capability], "/v1/capabilities")

    async def get(self, name: str) -> Capability:
        """The capability called `name`, for example ``knowledge.search``. Raises `NotFound` when unknown."""
        return await self._get(Capability, f"/v1/capabilities/{name}")
