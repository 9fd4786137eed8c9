"""Everything that happens in a project."""

# Written by `python -m waybill.client.generate` from aio/events.py: change that, and run it again.

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from waybill.client.models import ProjectEvent
from waybill.client.positions import ProjectPosition
from waybill.client.sync.endpoints import Endpoints
from waybill.client.sync.streaming import EventStream


class Events(Endpoints):
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
    ) -> EventStream[ProjectEvent]:
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
        return EventStream(self._transport, position, give_up_seconds=give_up_seconds, on_reconnect=on_reconnect)
