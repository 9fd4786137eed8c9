"""What must be true of everything after an upgrade, read where it is stored."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
from pydantic import SecretStr

from core.jobs.receipts.checks import check
from core.kit.db import Database
from core.kit.ids import JOB, encode
from core.kit.settings import Settings
from core.kit.signing import Keyring
from core.ledger.invariants import check_invariants
from tests.compat.installation import Installation
from tests.compat.releases import Release
from tests.factories.waiting import wait_until
from tests.factories.webhook_receiver import WebhookReceiver

_WEBHOOKS_SECONDS = 60.0
_SETTLED_SECONDS = 60.0
# Children tell their parent, and no receiver.
_JOBS = """
    SELECT id, state::text, attempt, failures, parent_id IS NULL,
      (SELECT count(*) FROM job_events AS event WHERE event.job_id = jobs.id AND event.type = ANY(
        ARRAY['job.succeeded', 'job.failed', 'job.cancelled', 'job.expired', 'job.rejected']))
    FROM jobs"""


def jobs_ended_once(owner_url: str, marker: Path, receiver: WebhookReceiver, accepted: int) -> str:
    """Every job ended well, once, and its receiver heard of it once. Raises AssertionError."""
    with psycopg.connect(owner_url) as connection:
        jobs = connection.execute(_JOBS).fetchall()
    assert len(jobs) > accepted, f"{accepted} jobs of the load were accepted, {len(jobs)} are stored"
    for job_id, state, _, failures, _, final_events in jobs:
        found = (state, failures, final_events)
        assert found == ("succeeded", 0, 1), f"{job_id}: {state}, {failures} failures, {final_events} final events"
    lines = [line.split() for line in marker.read_text(encoding="utf-8").splitlines()]
    twice = [line for line, times in Counter(map(tuple, lines)).items() if times > 1]
    assert not twice, f"one attempt was started twice: {twice}"
    attempts = {job_id: attempt for job_id, _, attempt, *_ in jobs}
    starts = Counter(UUID(job_id) for job_id, _ in lines)
    unasked = [str(job_id) for job_id, times in starts.items() if times > attempts[job_id]]
    assert not unasked, f"started more often than claimed: {unasked}"
    reported = {encode(JOB, job_id) for job_id, *_, has_receiver, _ in jobs if has_receiver}
    wait_until(
        lambda: reported <= _heard(receiver).keys(), timeout_seconds=_WEBHOOKS_SECONDS, what="a webhook about every job"
    )
    repeated = [job_id for job_id, times in _heard(receiver).items() if times > 1]
    assert not repeated, f"told about more than once: {repeated}"
    handed_back = sum(1 for job_id, times in starts.items() if times > 1)
    return f"{len(jobs)} jobs, {handed_back} of them handed back and taken up; {len(reported)} webhooks"


def proofs_hold(installation: Installation, release: Release, receipts: Sequence[Any]) -> str:
    """Invariants, audit trail and receipts hold. Raises AssertionError."""
    settings = Settings(home=installation.folder / "home", database_url=SecretStr(installation.owner_url))
    database = Database(settings, application_name="compat", pool_size=1)
    violations: list[Any] = []

    def hold() -> bool:
        with database.system() as session:
            violations[:] = check_invariants(session)
        return not violations

    try:
        wait_until(hold, timeout_seconds=_SETTLED_SECONDS, what="the ledger to agree", pause_seconds=0.5)
    except AssertionError as error:
        raise AssertionError(f"{error}: {violations[:3]}") from error
    finally:
        database.close()
    installation.run(release, "audit", "seal")
    installation.run(release, "audit", "verify")
    keys = Keyring.from_settings(Settings(signing_key=SecretStr(installation.secrets["WAYBILL_SIGNING_KEY"])))
    for document in receipts:
        broken = [each.text for each in check(document, keys) if each.holds is False]
        assert not broken, f"the receipt of {document['job']['id']}: {broken}"
    return f"invariants, audit trail and {len(receipts)} receipts hold"


def _heard(receiver: WebhookReceiver) -> Counter[str]:
    return Counter(json.loads(each.body)["data"]["id"] for each in list(receiver.received))
