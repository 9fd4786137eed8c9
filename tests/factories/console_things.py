"""Jobs for pages of the console, in every state that they show, with markup in every text that someone may write."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import httpx
import pytest

from core.capability import JobSuspended
from core.jobs.states import SUSPEND
from core.keys.sessions import views
from core.keys.sessions.repository import Owner
from core.kit.ids import JOB, PROJECT, SESSION, VIEW, decode, encode, new_id
from tests.factories.api import RunningApi, issue_key, principal_of
from tests.factories.attempts import Attempt, worker_services
from tests.factories.console_admin_things import made_admin_things

HOSTILE = "\"'><script>alert(1)</script><img src=x onerror=alert(2)><a href='javascript:alert(3)'>x</a>{{ 7*7 }}"
SCHEMA = {
    "type": "object",
    "properties": {
        "approved": {"type": "boolean", "title": HOSTILE, "description": HOSTILE},
        "note": {"type": "string", "maxLength": 200},
        "kind": {"enum": [HOSTILE, "a", "b", "c", "d"]},
    },
    "required": ["approved"],
}


def saved_view(api: RunningApi, name: str) -> str:
    """A saved view of the API's own key; its id."""
    principal = principal_of(api.key)
    owner = Owner(principal.organization_id, principal.key_id, None, None)
    with api.runtime.database.tenant(principal.organization_id) as session:
        return encode(VIEW, views.save(session, principal, owner, name[: views.NAME_MAX], "state=failed"))


def submit(client: httpx.Client, capability: str = "probe.act", text: str = HOSTILE) -> str:
    """A job with hostile labels; its id."""
    body = {"capability": capability, "input": {"act": "noop"}, "metadata": {"note": text[:500], "ticket": "4711"}}
    made = client.post("/v1/jobs", json={**body, "input": {} if capability == "probe.ask" else {"act": "noop"}})
    assert made.status_code == 202, made.text
    return str(made.json()["id"])


@contextmanager
def made_things(
    api: RunningApi, text: str = HOSTILE, approves: Literal["money"] | None = None
) -> Iterator[dict[str, str]]:
    """Ids of a queued, a running, an ended, a failed and an asking job of the API's own key, and of what is not there.

    The asking job was submitted by another key, so that the API's own may answer it.
    """
    another = issue_key(api.settings)
    with api.client() as client, api.client(another) as other, worker_services(api.settings, pool_size=4) as services:
        things = {
            "job_id": submit(client, text=text),
            "running_id": submit(client, text=text),
            "ended_id": submit(client, text=text),
            "failed_id": submit(client, text=text),
            "asking_id": submit(other, "probe.ask", text=text),
            "submitter": another.plaintext,
            "project_id": encode(PROJECT, api.key.project_id),
            "session_id": encode(SESSION, new_id()),
            "view_id": saved_view(api, text),
            **made_admin_things(api, text),
        }

        def begin(name: str) -> Attempt:
            return Attempt(services, decode(JOB, things[name]))

        ended = begin("ended_id")
        with ended.context.step(f"plan {text}"[:200]):
            ended.context.progress(1, 2, text)
        ended.context.artifact("a.txt", text.encode(), "text/plain")
        ended.context.artifact("page.html", text.encode(), "text/html")
        ended.context.artifact("picture.png", PIXEL, "image/png")
        ended.emit("guard.findings", source=text, findings=[{"kind": text, "count": 1}])
        ended.succeed(answer=text, citations=[{"quote": text, "document": text, "page": 3}])
        begin("failed_id").fail("provider_unavailable")
        running = begin("running_id")
        with running.context.step("understand"):
            pass
        asking = begin("asking_id")
        details = {"customer_words": text, "effect": text, "why": text, "more": {"note": text}}
        with pytest.raises(JobSuspended) as suspended:
            asking.context.ask("approve", f"May it be done? {text}", SCHEMA, details=details, approves=approves)
        why = suspended.value
        asking.context.end(SUSPEND, "job.waiting", {"reason": why.reason}, reason=why.reason, error=why.why)
        yield things


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c4944415408d763f8cfc000000301010018dd8db0"
    "0000000049454e44ae426082"
)
