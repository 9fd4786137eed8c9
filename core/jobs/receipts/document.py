"""Writing a waybill. Everything in it is a fact or a digest: no input, no result, no client label.

The signature is over the canonical JSON (`core.kit.canonical`) of the document without its member ``signature``.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit import service as audit
from core.audit.documents import Record
from core.audit.service import Proof
from core.jobs import repository as jobs
from core.jobs.artifacts import list_artifacts
from core.jobs.receipts import repository
from core.jobs.receipts.repository import EVENTS_MAX, ChildFacts, Moment
from core.jobs.records import JobRecord
from core.jobs.states import Priority
from core.keys.principal import Principal
from core.kit.canonical import canonical
from core.kit.clock import isoformat
from core.kit.errors import Conflict, NotFound
from core.kit.ids import AUDIT, EXPERIMENT, JOB, KEY, MODEL_VERSION, ORGANIZATION, PROJECT, encode
from core.kit.json_values import dumps
from core.kit.money import ZERO, format_cost, format_money
from core.kit.signing import Signer, base64url
from core.ledger.records import Entry
from core.ledger.service import entries_of
from core.registry.experiments.exposures import Exposure, exposures_of

TYPE = "waybill/1"
CONTEXT = b"waybill.document/1\n"
ALGORITHM = "Ed25519"
_RECORDS_MAX = 5_000
_POLICY = "policy:"
_INTENT = "intent"


class JobNotFinished(Conflict):
    """The job is still running; its waybill is written once it has ended."""

    default_code = "job_not_finished"


def issue(session: Session, principal: Principal, job_id: UUID, signer: Signer) -> dict[str, Any]:
    """The signed waybill of an ended job. Raises `NotFound` and `JobNotFinished`.

    Records that wait for their seal are named in ``audit.unsealed``; a second later there are none.
    """
    job = jobs.get(session, principal, job_id)
    if job is None:
        raise NotFound(f"there is no job {encode(JOB, job_id)} in this project", code="job_not_found")
    if not job.is_terminal:
        raise JobNotFinished(f"this job is {job.state}; its waybill is written when it has ended")
    given, result, now = repository.digests(session, principal, job_id)
    moments = repository.story(session, principal, job_id)
    entries = entries_of(session, principal, job_id)
    records = audit.of_subject(
        session, principal.organization_id, principal.project_id, encode(JOB, job_id), most=_RECORDS_MAX
    )
    proofs = audit.prove_all(session, principal.organization_id, records)
    document = {
        "type": TYPE,
        "issued_at": isoformat(now),
        "organization_id": encode(ORGANIZATION, job.organization_id),
        "project_id": encode(PROJECT, job.project_id),
        "key_id": None if job.key_id is None else encode(KEY, job.key_id),
        "job": _job(job),
        "asked": {
            "capability": job.capability,
            "input_digest": _hex(given),
            "metadata_digest": hashlib.sha256(dumps(job.metadata, sort_keys=True)).hexdigest(),
            "priority": str(Priority.of_rank(job.priority)),
            "max_attempts": job.max_attempts,
            "max_cost_usd": None if job.max_cost_usd is None else format_money(job.max_cost_usd),
            "deadline_at": _time(job.deadline_at),
        },
        "attempts": _attempts(moments[:EVENTS_MAX]),
        "events_omitted": len(moments) > EVENTS_MAX,
        "models": _models(entries),
        "costs": _costs(entries),
        "experiments": [_experiment(each) for each in exposures_of(session, principal.organization_id, job_id)],
        "policy_decisions": [_decision(record) for record in records if record.action.startswith(_POLICY)],
        "children": [_child(child) for child in repository.children(session, principal, job_id)],
        "result": {"state": str(job.state), "digest": _hex(result)},
        "artifacts": [
            {"name": each.name, "content_type": each.content_type, "size_bytes": each.size_bytes, "sha256": each.sha256}
            for each in list_artifacts(session, principal, job_id)
        ],
        "audit": _audit(records, proofs),
    }
    return sign(signer, _exact(document))


def sign(signer: Signer, document: Mapping[str, Any]) -> dict[str, Any]:
    """`document` with its signature. Raises ValueError for a document that is not canonical JSON."""
    unsigned = {name: value for name, value in document.items() if name != "signature"}
    value = signer.sign(CONTEXT + canonical(unsigned))
    return {**unsigned, "signature": {"algorithm": ALGORITHM, "key_id": signer.key_id, "value": base64url(value)}}


def _job(job: JobRecord) -> dict[str, Any]:
    return {
        "id": encode(JOB, job.id),
        "parent_id": None if job.parent_id is None else encode(JOB, job.parent_id),
        "root_id": None if job.root_id is None else encode(JOB, job.root_id),
        "state": str(job.state),
        "data_class": job.data_class,
        "reason": job.reason,
        "error_code": None if job.error is None else job.error.get("code"),
        "attempts": job.attempt,
        "created_at": isoformat(job.created_at),
        "started_at": _time(job.started_at),
        "finished_at": _time(job.finished_at),
        "trace_id": _trace_id(job.traceparent),
    }


def _child(child: ChildFacts) -> dict[str, Any]:
    return {
        "id": encode(JOB, child.id),
        "key": child.key,
        "capability": child.capability,
        "state": child.state,
        "input_digest": _hex(child.input_digest),
        "result_digest": _hex(child.result_digest),
        "cost_usd": format_cost(child.cost_usd, priced=child.is_priced),
        "priced": child.is_priced,
    }


def _attempts(moments: Iterable[Moment]) -> list[dict[str, Any]]:
    """Each attempt with its times, how it ended, and the steps that it started."""
    attempts: dict[int, dict[str, Any]] = {}
    for moment in moments:
        if moment.type == "job.started":
            attempts[moment.attempt] = {
                "attempt": moment.attempt,
                "started_at": isoformat(moment.at),
                "ended_at": None,
                "outcome": None,
                "reason": None,
                "steps": [],
            }
            continue
        attempt = attempts.get(moment.attempt)
        if attempt is None:
            continue
        if moment.type.startswith("step."):
            _add_step(attempt["steps"], moment)
        elif attempt["ended_at"] is None:
            attempt |= {
                "ended_at": isoformat(moment.at),
                "outcome": moment.type,
                "reason": moment.data.get("reason"),
            }
    return list(attempts.values())


def _add_step(steps: list[dict[str, Any]], moment: Moment) -> None:
    name = moment.data.get("step")
    if moment.type == "step.started":
        steps.append({"step": name, "started_at": isoformat(moment.at), "finished_at": None, "duration_ms": None})
        return
    for step in reversed(steps):
        if step["step"] == name and step["finished_at"] is None:
            step |= {"finished_at": isoformat(moment.at), "duration_ms": moment.data.get("duration_ms")}
            return


def _models(entries: Sequence[Entry]) -> list[dict[str, Any]]:
    """What each model version consumed and cost, corrections included."""
    found: dict[tuple[str, str, str | None], dict[str, Any]] = {}
    for entry in entries:
        if entry.kind == _INTENT:
            continue
        line = found.setdefault(
            (entry.provider, entry.model, entry.model_version),
            {"calls": 0, "quantities": {}, "cost": ZERO, "priced": True},
        )
        line["calls"] += entry.kind == "settlement"
        line["cost"] += entry.amount_usd
        line["priced"] &= entry.is_priced
        for unit, amount in entry.quantities.items():
            line["quantities"][unit] = line["quantities"].get(unit, 0) + amount
    return [
        {
            "provider": provider,
            "model": model,
            "model_version": version,
            "calls": line["calls"],
            "quantities": line["quantities"],
            "cost_usd": format_cost(line["cost"], priced=line["priced"]),
            "priced": line["priced"],
        }
        for (provider, model, version), line in found.items()
    ]


def _costs(entries: Sequence[Entry]) -> dict[str, Any]:
    """The ledger's settlements and corrections; `open_calls` counts intents without a settlement."""
    lines = [entry for entry in entries if entry.kind != _INTENT]
    settled = {(entry.attempt, entry.call) for entry in lines}
    priced = all(line.is_priced for line in lines)
    begun = {(entry.attempt, entry.call) for entry in entries if entry.kind == _INTENT}
    return {
        "currency": "USD",
        "total_usd": format_cost(sum((line.amount_usd for line in lines), start=ZERO), priced=priced),
        "priced": priced,
        "open_calls": len(begun - settled),
        "lines": [
            {
                "attempt": line.attempt,
                "call": line.call,
                "entry": line.entry,
                "kind": line.kind,
                "recorded_at": isoformat(line.recorded_at),
                "step": line.step,
                "provider": line.provider,
                "model": line.model,
                "model_version": line.model_version,
                "quantities": dict(line.quantities),
                "amounts_usd": dict(line.amounts),
                "amount_usd": format_cost(line.amount_usd, priced=line.is_priced),
                "priced": line.is_priced,
                "estimated": line.estimated,
                "reason": line.reason,
            }
            for line in lines
        ],
    }


def _experiment(exposure: Exposure) -> dict[str, Any]:
    """The arm that an experiment gave the job, and the experiment's current state."""
    return {
        "experiment_id": encode(EXPERIMENT, exposure.experiment_id),
        "arm": exposure.arm,
        "kind": exposure.kind,
        "model": exposure.model,
        "model_version_id": None
        if exposure.model_version_id is None
        else encode(MODEL_VERSION, exposure.model_version_id),
        "prompt": exposure.prompt,
        "prompt_digest": exposure.prompt_digest,
        "exposed_at": isoformat(exposure.exposed_at),
        "state": exposure.state,
        "reason": exposure.reason,
    }


def _decision(record: Record) -> dict[str, Any]:
    return {
        "record_id": encode(AUDIT, record.id),
        "action": record.action,
        "decided_at": isoformat(record.recorded_at),
        "detail": record.document()["detail"],
    }


def _audit(records: Sequence[Record], proofs: Sequence[Proof]) -> dict[str, Any]:
    proved = {proof.record.id for proof in proofs}
    seals = {proof.seal.number: proof.seal for proof in proofs}
    return {
        "records": [{"record": proof.record.document(), "proof": proof.as_json()} for proof in proofs],
        "seals": [seals[number].document() for number in sorted(seals)],
        "unsealed": [encode(AUDIT, record.id) for record in records if record.id not in proved],
    }


def _exact(value: Any) -> Any:
    """`value` with every fraction as text: a signed document must not depend on how a reader rounds."""
    if isinstance(value, dict):
        return {name: _exact(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    return format(Decimal(repr(value)), "f") if isinstance(value, float) else value


def _hex(digest: bytes | None) -> str | None:
    return None if digest is None else bytes(digest).hex()


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else isoformat(moment)


def _trace_id(traceparent: str | None) -> str | None:
    parts = (traceparent or "").split("-")
    return parts[1] if len(parts) == 4 else None  # noqa: PLR2004 - the four fields of a W3C traceparent
