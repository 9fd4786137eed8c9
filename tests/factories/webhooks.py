"""Endpoints, deliveries and a deliverer in the hands of a test."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text
from standardwebhooks.webhooks import Webhook

from core.kit.db import Database
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from core.webhooks.delivery import Deliverer
from core.webhooks.records import Delivery, DeliveryFilter, Endpoint, NewEndpoint
from core.webhooks.service import WebhookService
from core.webhooks.targets import Resolver, resolve
from tests.factories.attempts import attempt
from tests.factories.jobs import Tenant
from tests.factories.waiting import wait_until
from tests.factories.webhook_receiver import Received

LOOPBACK = {"webhook_allowed_networks": ["127.0.0.0/8"]}


def verify(received: Received, secret: str) -> Any:
    """The payload, by the public package that receivers use. Raises when signature or time are wrong."""
    return Webhook(secret).verify(received.body, dict(received.headers))


def has_signature_of(received: Received, secret: str) -> bool:
    """Whether one of the signatures is of `secret`, whenever the message says that it was sent."""
    at = datetime.fromtimestamp(int(received.headers["webhook-timestamp"]), tz=None).astimezone()
    expected = Webhook(secret).sign(received.id, at, received.body.decode())
    assert base64.b64decode(expected.removeprefix("v1,"))
    return expected in received.headers["webhook-signature"].split(" ")


@dataclass
class Hooks:
    """A project's webhooks, and a deliverer whose clock the test moves."""

    settings: Settings
    tenant: Tenant
    service: WebhookService
    deliverer: Deliverer

    def add(self, url: str, *events: str, include_result: bool = False) -> tuple[Endpoint, str]:
        """An endpoint and its secret."""
        with self.tenant.database.tenant(self.tenant.principal.organization_id) as session:
            new = NewEndpoint(url, events=events, include_result=include_result)
            issued = self.service.create(session, self.tenant.principal, new)
        assert issued.endpoint is not None
        return issued.endpoint, issued.secret

    def act(self, name: str, *arguments: Any, **named: Any) -> Any:
        """Call a method of the service in a transaction of its own."""
        with self.tenant.database.tenant(self.tenant.principal.organization_id) as session:
            return getattr(self.service, name)(session, self.tenant.principal, *arguments, **named)

    def finish_job(self, **given: Any) -> UUID:
        """Submit a job and end it with a result."""
        job_id = self.tenant.submit(**given)
        with attempt(self.settings, encode(JOB, job_id)) as run:
            run.succeed(answer="42")
        return job_id

    def make_deliveries(self, endpoint: Endpoint, count: int) -> None:
        """Many messages at once, as triggers would write them."""
        with self.tenant.database.tenant(endpoint.organization_id) as session:
            session.execute(
                text(
                    "SELECT webhook_tell(:organization, :project, 'job.failed', '{}') FROM generate_series(1, :count)"
                ),
                {"organization": endpoint.organization_id, "project": endpoint.project_id, "count": count},
            )

    def round(self) -> int:
        """Deliver what is due now, and wait for what comes of it; returns how many were taken."""
        taken = self.deliverer.take()
        wait_until(lambda: self.deliverer.under_way == 0, timeout_seconds=30, what="the attempts to end")
        return taken

    def drain(self) -> int:
        """Deliver until nothing is due any more."""
        taken = 0
        while (more := self.round()) > 0:
            taken += more
        return taken

    def move(self, by: timedelta) -> None:
        """Let so much time go by."""
        self.deliverer.offset_seconds += by.total_seconds()

    def deliveries(self, **where: Any) -> Sequence[Delivery]:
        """The project's deliveries, oldest first."""
        found = self.act("deliveries", DeliveryFilter(**where), cursor=None, limit=10_000)
        return list(reversed(found))

    def close(self) -> None:
        """Let go of everything."""
        self.deliverer.close()
        self.tenant.close()


def new_hooks(
    settings: Settings, tenant: Tenant, *, resolver: Resolver = resolve, database: Database | None = None
) -> Hooks:
    """Webhooks of `tenant`, with no jitter."""
    deliverer = Deliverer(settings, database or tenant.database, spread=lambda: 1.0, resolver=resolver)
    return Hooks(settings, tenant, WebhookService(settings), deliverer)
