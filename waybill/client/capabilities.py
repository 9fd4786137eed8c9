"""Capabilities: what can be asked for."""

from waybill.client.models import Capability, Page
from waybill.client.transport import Transport


class Capabilities:
    """``/v1/capabilities``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def list(self) -> Page[Capability]:
        """All capabilities this API offers."""
        return Page[Capability].model_validate(self._transport.get("/v1/capabilities").json())

    def get(self, name: str) -> Capability:
        """The capability called `name`, for example ``knowledge.search``. Raises `ApiProblem` 404 when unknown."""
        return Capability.model_validate(self._transport.get(f"/v1/capabilities/{name}").json())
