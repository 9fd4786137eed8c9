"""Everything that happens in a project."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from waybill.client.aio.endpoints import AsyncEndpoints
from waybill.client.aio.streaming import AsyncEventStream
from waybill.client.models import ProjectEvent
from waybill.client.positions import ProjectPosition


class AsyncEvents(AsyncEndpoints):
    """``/v1/events``: what happens in the key's project."""

    def stream(
        self,
        *,
        after: str | None = None,
        types: Sequence[str] = (),
        capabilities: Sequence[str] = (),
        states: Sequence[str] = (),
        metadata: Mapping[str, str] | None = None,
        follow: bool = True,
        give_up_seconds: float = 60.0,
        on_reconnect: Callable[[str], None] | None = None,
    ) -> AsyncEventStream[ProjectEvent]:
        """The project's events after the cursor `after`, each once; from now on when it is None.

        "0" is the beginning of what is kept. Ends only when `follow` is False. Iteration raises `EventsLost` when
        nothing could be received for `give_up_seconds`, and `ApiProblem` when the API refuses (a revoked key, a filter
        it does not know).
        """
        params: dict[str, Any] = {
            "type": list(types),
            "capability": list(capabilities),
            "state": list(states),
            **{f"metadata.{name}": value for name, value in (metadata or {}).items()},
        }
        position = ProjectPosition(params, after, follow=follow)
        return AsyncEventStream(self._transport, position, give_up_seconds=give_up_seconds, on_reconnect=on_reconnect)
