"""A small company at work, for the pictures in the documentation: what a reader of them would have on screen."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from core.capability import JobSuspended
from core.jobs.states import SUSPEND
from core.kit.ids import DOCUMENT, JOB, decode, encode, new_id
from core.knowledge import samples
from pipelines.registry import manifests
from tests.factories.api import RunningApi, issue_key
from tests.factories.attempts import Attempt, worker_services
from tests.factories.charges import Line, write_lines
from tests.factories.console_figures import fill, made_figures, url_of
from tests.factories.console_things import saved_view

QUESTION = "Up to what amount is a mobile phone compensated?"
_DOCUMENT = "claims-and-liability-policy.pdf"
_SECTION = "Claims and Liability Policy > 2.3 Lower limits for certain goods"
_HEAD = "Goods | Highest compensation | Condition"
_ROW = "Mobile phones and tablets | EUR 750 | neutral outer packaging without brand name"
_MORE = "Jewelry and watches | EUR 500 | declared as valuables\nGift cards | EUR 100 | activated at delivery only"
_TEXT = f"{_HEAD}\n{_ROW}\n{_MORE}"
_SUPPORT = "customer_operations.resolve"
_COST = Decimal("0.00184")
_EFFECT = {
    "customer_words": "My parcel 4711 arrived soaked and the headphones inside no longer work. I want my money back.",
    "effect": "Refund EUR 64.90 to the card that paid for order 4711.",
    "why": "The amount is above EUR 50, which a person must approve.",
}
_APPROVAL = {
    "type": "object",
    "properties": {
        "approved": {"type": "boolean", "title": "Refund the amount"},
        "note": {"type": "string", "title": "Note for the customer", "maxLength": 200},
    },
    "required": ["approved"],
}


def showcase(api: RunningApi) -> tuple[RunningApi, dict[str, str]]:
    """The API with the key of a company of its own, and the ids of what its pictures show."""
    own = replace(api, key=issue_key(api.settings, organization="Veldhaven", project="claims"))
    asker = issue_key(api.settings, organization="Veldhaven", project="claims")
    issue_key(api.settings, organization="Veldhaven", project="support")
    things = made_figures(own, "gpt-4o-mini")
    fill(own, things["experiment_id"])
    with own.client() as client, own.client(asker) as other, worker_services(api.settings) as services:

        def submit(capability: str, given: Mapping[str, Any], **labels: str) -> str:
            made = other.post("/v1/jobs", json={"capability": capability, "input": given, "metadata": labels})
            assert made.status_code == 202, made.text
            return str(made.json()["id"])

        base = client.post("/v1/knowledge-bases", json={"name": samples.NAME, "description": samples.DESCRIPTION})
        base_id = base.json()["id"]

        def ask(query: str, ticket: str) -> Attempt:
            given = {"knowledge_base": base_id, "query": query}
            return Attempt(services, decode(JOB, submit("knowledge.search", given, ticket=ticket, team="claims")))

        for number in range(3):
            failed = ask("When is a parcel lost?", f"46{number}0")
            failed.fail("provider_unavailable")
        ask("How long do I have to report damage?", "4699").succeed(answer="Seven days.", citations=[])
        answered = ask(QUESTION, "4711")
        for step in ("understand", "retrieve", "answer"):
            with answered.context.step(step):
                pass
        answered.succeed(**_result())
        _pay(own, answered.context.job_id, asker.id)
        running = ask("What does insurance for a piano cost?", "4712")
        running.context.step("retrieve").__enter__()
        request = manifests()[_SUPPORT].examples[0]
        asking = Attempt(services, decode(JOB, submit(_SUPPORT, request, ticket="4711", team="support")))
        with pytest.raises(JobSuspended) as suspended:
            asking.context.ask("approve", "Refund EUR 64.90?", _APPROVAL, details=_EFFECT)
        why = suspended.value
        asking.context.end(SUSPEND, "job.waiting", {"reason": why.reason}, reason=why.reason, error=why.why)
    saved_view(own, "failed today")
    return own, {
        **things,
        "answered_id": encode(JOB, answered.context.job_id),
        "asking_id": encode(JOB, asking.context.job_id),
        "month": (datetime.now(UTC) - timedelta(days=20)).date().isoformat(),
        "yesterday": (datetime.now(UTC) - timedelta(days=1)).date().isoformat(),
    }


def _result() -> dict[str, Any]:
    at = {"document_id": encode(DOCUMENT, new_id()), "document": _DOCUMENT, "page": 2, "section": _SECTION}
    quote = {**at, "quote": _ROW, "start": 4110, "end": 4110 + len(_ROW), "passage": "p1", "confidence": 0.97}
    return {
        "mode": "answer",
        "answered": True,
        "answer": "Mobile phones and tablets are compensated up to EUR 750, in neutral packaging [1].",
        "citations": [quote],
        "passages": [{**at, "id": "p1", "start": 4069, "end": 4069 + len(_TEXT), "text": _TEXT, "score": 0.0325}],
        "model": "openai/gpt-4o-mini",
    }


def _pay(api: RunningApi, job_id: Any, key_id: Any) -> None:
    """What its model call cost: in the ledger, and on the job."""
    quantities, model = {"input_tokens": "8920", "output_tokens": "838"}, "gpt-4o-mini"
    organization_id, project_id = api.key.organization_id, api.key.project_id
    line = Line(organization_id, project_id, key_id, job_id, _COST, model=model, quantities=quantities)
    write_lines(url_of(api), [line])
    usage = [{"provider": "openai", "model": model, "priced": True, "cost_usd": str(_COST)}]
    with psycopg.connect(url_of(api)) as connection:
        connection.execute("UPDATE jobs SET cost_usd = %s, usage = %s WHERE id = %s", (_COST, Jsonb(usage), job_id))
