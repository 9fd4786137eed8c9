"""Idempotency keys: a POST that is sent twice is executed once and answered twice.

The semantics are Stripe's and those of the IETF draft "The Idempotency-Key HTTP Header Field": the same key with the
same request gets the first answer again, with another request it is an error, and while the first request is still
being processed it is a conflict. The first answer is stored in the same transaction as the change it reports, so
neither exists without the other. Refusals are not stored: they had no effect, and the corrected request may use the
same key.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy.orm import Session

from core.keys import repository
from core.keys.errors import IdempotencyInProgress, IdempotencyKeyInvalid, IdempotencyKeyReused
from core.keys.principal import Principal

_FORM = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,253}[\x21-\x7e])?")


@dataclass(frozen=True, slots=True)
class Answer:
    """A response as it was sent, or will be sent again: status code, JSON body and ``Location``."""

    status: int
    body: bytes
    location: str | None = None
    is_replayed: bool = False


@dataclass(frozen=True, slots=True)
class IdempotentRequest:
    """A request as identified for idempotency: its key, and a digest of its content."""

    key: str
    digest: bytes


def identify(key: str | None, *parts: bytes) -> IdempotentRequest | None:
    """The identity of a request with ``Idempotency-Key`` `key`; `parts` are its method, target and body.

    None when the request carries no key. Raises `IdempotencyKeyInvalid` when the key is not 1 to 255 printable ASCII
    characters without surrounding spaces.
    """
    if key is None:
        return None
    if _FORM.fullmatch(key) is None:
        raise IdempotencyKeyInvalid("an Idempotency-Key is 1 to 255 printable ASCII characters; a UUID is a good one")
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return IdempotentRequest(key, digest.digest())


def answer_once(
    session: Session,
    principal: Principal,
    request: IdempotentRequest | None,
    lives: timedelta,
    produce: Callable[[], Answer],
) -> Answer:
    """The result of `produce`, or the first answer to the same request if there was one.

    `produce` works in the same transaction. Raises `IdempotencyKeyReused` and `IdempotencyInProgress`; the caller must
    let the exception end the transaction.
    """
    if request is None:
        return produce()
    first = begin(session, principal, request)
    if first is not None:
        return first
    answer = produce()
    finish(session, principal, request, answer, lives)
    return answer


def begin(session: Session, principal: Principal, request: IdempotentRequest) -> Answer | None:
    """The first answer to `request`, or None when this is the first; the key is then locked until the commit."""
    found = repository.begin_answer(session, principal.project_id, request.key)
    if found.request_digest is not None and found.status is not None and found.body is not None:
        if not hmac.compare_digest(bytes(found.request_digest), request.digest):
            raise IdempotencyKeyReused(
                "this Idempotency-Key was used with another request; send a new key with a changed request"
            )
        return Answer(found.status, bytes(found.body), found.location, is_replayed=True)
    if not found.locked:
        raise _in_progress()
    return None


def finish(
    session: Session, principal: Principal, request: IdempotentRequest, answer: Answer, lives: timedelta
) -> None:
    """Store `answer` for as long as `lives`. Raises `IdempotencyInProgress` when another request was first after all.

    That happens when the other one committed between the snapshot and the lock of our `begin`.
    """
    stored = repository.store_answer(
        session,
        project_id=principal.project_id,
        organization_id=principal.organization_id,
        key=request.key,
        request_digest=request.digest,
        status=answer.status,
        location=answer.location,
        body=answer.body,
        lives=lives,
    )
    if not stored:
        raise _in_progress()


def _in_progress() -> IdempotencyInProgress:
    return IdempotencyInProgress(
        "the first request with this Idempotency-Key is still running; try again in a moment",
        retry_after_seconds=1,
    )
