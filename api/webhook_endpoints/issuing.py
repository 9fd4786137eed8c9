"""Secrets are shown once: the stored response for a repeated request does not contain them."""

from collections.abc import Callable
from dataclasses import replace

from fastapi import Request
from sqlalchemy.orm import Session

from api.answers import carry_out
from api.webhook_endpoints.schemas import issued_to_wire
from core.keys.idempotency import Answer, IdempotentRequest
from core.kit.ids import WEBHOOK_ENDPOINT, encode
from core.kit.json_values import dumps
from core.webhooks.records import Issued


def issue_once(
    request: Request, identity: IdempotentRequest | None, issue: Callable[[Session], Issued], status: int
) -> Answer:
    """Run `issue`, and respond with the secret; a repeat gets the same response without it. Blocks."""
    issued: list[Issued] = []

    def produce(session: Session) -> Answer:
        issued.append(issue(session))
        endpoint = issued[-1].endpoint
        location = None if endpoint is None else f"/v1/webhook-endpoints/{encode(WEBHOOK_ENDPOINT, endpoint.id)}"
        return Answer(status, dumps(issued_to_wire(issued[-1], with_secret=False)), location)

    answer = carry_out(request, identity, produce)
    if answer.is_replayed:
        return answer
    return replace(answer, body=dumps(issued_to_wire(issued[-1], with_secret=True)))
