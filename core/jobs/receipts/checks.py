"""Checks a waybill without Waybill: needs only the document and public keys, no database and no network."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from core.audit import merkle
from core.audit.documents import is_signed, leaf_of, seal_hash
from core.jobs.receipts.document import ALGORITHM, CONTEXT, TYPE
from core.kit.canonical import canonical
from core.kit.json_values import dumps
from core.kit.signing import Keyring, unbase64url

_SUBMITTED = "api:job:submit"
_CLAIMED = "worker:job:claim"
_SUCCEEDED = "worker:job:succeed"


@dataclass(frozen=True, slots=True)
class Check:
    """One check. `holds` is None when the given data does not decide it."""

    name: str
    holds: bool | None
    text: str


def check(document: Any, keyring: Keyring | None, *, given: Any = None, result: Any = None) -> list[Check]:
    """Every check of a waybill, in plain words.

    `given` and `result` are the job's input and result, if the holder has them. Never raises for an invalid document.
    """
    if not isinstance(document, dict) or document.get("type") != TYPE:
        return [Check("document", False, f"this is not a waybill: a document of type {TYPE} was expected")]
    try:
        return [
            _signature(document, keyring),
            *_trail(document, keyring),
            _story(document),
            _money(document),
            *_children(document),
            *_payload("input", document["asked"]["input_digest"], given),
            *_payload("result", document["result"]["digest"], result),
        ]
    except (KeyError, TypeError, ValueError, AttributeError, InvalidOperation) as error:
        return [Check("document", False, f"a part of this waybill is missing or unreadable: {error}")]


def holds(checks: list[Check]) -> bool:
    """Whether every check holds, the signature first."""
    return all(each.holds for each in checks if each.name in {"signature", "document"}) and not any(
        each.holds is False for each in checks
    )


def _signature(document: Mapping[str, Any], keyring: Keyring | None) -> Check:
    found = document.get("signature")
    if not isinstance(found, Mapping) or found.get("algorithm") != ALGORITHM:
        return Check("signature", False, "the document is not signed")
    if keyring is None:
        return Check("signature", None, "nobody can tell who signed this: no public keys were given")
    key_id = str(found["key_id"])
    if key_id not in keyring:
        return Check("signature", False, f"it is signed with key {key_id}, which is not among the public keys given")
    unsigned = {name: value for name, value in document.items() if name != "signature"}
    if keyring.verifies(key_id, CONTEXT + canonical(unsigned), unbase64url(str(found["value"]))):
        return Check("signature", True, f"the signature by key {key_id} holds: not a letter was changed since")
    return Check("signature", False, "the signature does not match: the document was changed after it was signed")


def _trail(document: Mapping[str, Any], keyring: Keyring | None) -> Iterator[Check]:
    """The audit records: each is a leaf of the tree whose root is in a signed seal."""
    audit = document["audit"]
    seals = {seal["number"]: seal for seal in audit["seals"]}
    for seal in audit["seals"]:
        if seal["organization_id"] != document["organization_id"]:
            yield Check("seal", False, f"seal {seal['number']} belongs to another organization")
        elif seal["hash"] != seal_hash(seal).hex():
            yield Check("seal", False, f"seal {seal['number']} was changed: its content does not give its hash")
        elif keyring is not None and not is_signed(keyring, seal):
            yield Check("seal", False, f"the signature of seal {seal['number']} is of none of the public keys given")
    wrong = [text for item in audit["records"] for text in _record_faults(document, item, seals)]
    yield from (Check("record", False, text) for text in wrong)
    if not wrong:
        proved = f"{_count(len(audit['records']), 'audit record')} proved to be in {_count(len(seals), 'signed seal')}"
        yield Check("records", True, proved)
    if audit["unsealed"]:
        many = _count(len(audit["unsealed"]), "audit record")
        yield Check("sealing", None, f"{many} had no seal yet when this was issued: ask for the waybill again")


def _record_faults(
    document: Mapping[str, Any], item: Mapping[str, Any], seals: Mapping[Any, Mapping[str, Any]]
) -> Iterator[str]:
    record, proof = item["record"], item["proof"]
    name = f"audit record {record['sequence']} ({record['action']})"
    seal = seals.get(proof["seal"])
    if seal is None:
        yield f"{name} refers to seal {proof['seal']}, which is not in the document"
        return
    if record["organization_id"] != document["organization_id"] or record["subject_id"] != document["job"]["id"]:
        yield f"{name} is not about this job"
    siblings = [bytes.fromhex(node) for node in proof["path"]]
    size = seal["last_sequence"] - seal["first_sequence"] + 1
    index = record["sequence"] - seal["first_sequence"]
    root = merkle.root_of_path(leaf_of(record), index, size, siblings)
    if root is None or root.hex() != seal["root"]:
        yield f"{name} is not in seal {seal['number']}: it was changed, or comes from elsewhere"


def _story(document: Mapping[str, Any]) -> Check:
    """Compares the document's account of the job with the sealed records."""
    records = [item["record"] for item in document["audit"]["records"]]
    by_action: dict[str, list[Any]] = {}
    for record in records:
        by_action.setdefault(record["action"], []).append(record)
    contradictions = [
        f"the {what}'s digest is not the one recorded"
        for what, action, digest in (
            ("input", _SUBMITTED, document["asked"]["input_digest"]),
            ("result", _SUCCEEDED, document["result"]["digest"]),
        )
        for record in by_action.get(action, ())
        if record["payload_digest"] not in {None, digest}
    ]
    claims = {record["attempt"] for record in by_action.get(_CLAIMED, ())}
    if claims and not document["audit"]["unsealed"] and max(claims) != document["job"]["attempts"]:
        contradictions.append(f"{document['job']['attempts']} attempts are claimed, {max(claims)} were recorded")
    if contradictions:
        return Check("story", False, "document and audit trail disagree: " + "; ".join(contradictions))
    if _SUBMITTED not in by_action:
        return Check("story", None, "the audit trail says nothing of the submission of this job")
    return Check("story", True, "what the document says of input, result and attempts is what the audit trail recorded")


def _money(document: Mapping[str, Any]) -> Check:
    costs = document["costs"]
    total = sum((Decimal(line["amount_usd"] or 0) for line in costs["lines"]), start=Decimal(0))
    by_model = sum((Decimal(model["cost_usd"] or 0) for model in document["models"]), start=Decimal(0))
    claimed = Decimal(costs["total_usd"] or 0)
    if total != claimed or by_model != claimed:
        return Check("costs", False, f"lines add up to {total} USD, models to {by_model}, not to {claimed}")
    if costs["open_calls"]:
        return Check("costs", None, f"{_count(costs['open_calls'], 'model call')} had no settlement yet")
    unpriced = sum(not line.get("priced", True) for line in costs["lines"])
    if unpriced:
        message = f"{_count(len(costs['lines']), 'cost line')} add up to {claimed} USD, without {unpriced} not priced"
        return Check("costs", None, message)
    return Check("costs", True, f"{_count(len(costs['lines']), 'cost line')} add up to {claimed} USD")


def _children(document: Mapping[str, Any]) -> Iterator[Check]:
    """Child jobs' costs are in their own waybills; checks only whether this one has all of them."""
    children = document["children"]
    unpriced = sum(not child.get("priced", True) for child in children)
    if unpriced:
        message = f"of {_count(len(children), 'child job')}, {unpriced} cost more than is known: calls were not priced"
        yield Check("children", None, message)


def _payload(name: str, digest: str | None, payload: Any) -> Iterator[Check]:
    if payload is None:
        return
    found = hashlib.sha256(dumps(payload, sort_keys=True)).hexdigest()
    if digest is None:
        yield Check(name, None, f"the waybill holds no digest of the {name}")
    elif found == digest:
        yield Check(name, True, f"the {name} is the one that this waybill is about")
    else:
        yield Check(name, False, f"the {name} is not the one that this waybill is about: its digest is {found}")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
