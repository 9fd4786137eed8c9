"""Audit trail schemas. A sealed record's members other than `personal` are what its leaf hashes."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.audit.documents import Record
from core.audit.findings import Kind
from core.audit.service import Proof

EXAMPLE_ID = "aud_01jd3q8v9tfq8a1b2c3d4e5f6g"


class SealedRecord(BaseModel):
    """A record as it is hashed.

    The leaf is SHA-256 over a zero byte and the canonical JSON (RFC 8785) of this object.
    """

    version: int
    organization_id: str
    sequence: int | None = Field(description="Position in the organization's trail. Null until the record is sealed.")
    id: str = Field(examples=[EXAMPLE_ID])
    project_id: str | None
    recorded_at: datetime
    action: str = Field(description="`source:subject:action`.", examples=["api:job:submit"])
    subject_id: str = Field(description="The resource that the action was performed on.")
    actor_kind: str = Field(description="`key`, `user`, `worker`, `dispatcher` or `system`.")
    actor_id: str | None
    attempt: int | None
    payload_digest: str | None = Field(
        description="SHA-256 of the request or response body, which is never stored here."
    )
    detail: dict[str, Any] = Field(
        description="Details of the action. Fractions and integers beyond 2^53 are decimal text."
    )


class AuditRecord(SealedRecord):
    """A record with its personal values, unless they were erased."""

    personal: dict[str, str | None] | None = Field(
        description="Values whose salted digests are in `detail.personal`. An erased value is null."
    )


class AuditPage(BaseModel):
    """A page of audit records, newest first."""

    data: list[AuditRecord]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


class AuditSeal(BaseModel):
    """A seal in the organization's hash chain."""

    version: int
    organization_id: str
    number: int
    id: str
    first_sequence: int
    last_sequence: int
    root: str = Field(description="Root of the Merkle tree (RFC 6962) over the leaves of the sealed records.")
    previous_hash: str
    key_id: str = Field(description="The key in `/.well-known/jwks.json` that signed the seal.")
    sealed_at: datetime
    hash: str
    signature: str


class InclusionProof(BaseModel):
    """Proof that the seal includes the record.

    Hash the record, hash upward along `path`, and compare with the seal's root.
    """

    record: SealedRecord
    leaf_index: int
    tree_size: int
    path: list[str] = Field(description="Sibling hashes from the leaf to the root, in hexadecimal.")
    seal: AuditSeal


class AuditFinding(BaseModel):
    """A problem found by the verification, and its location."""

    kind: Kind
    message: str
    seal: int | None
    first_sequence: int | None
    last_sequence: int | None


class AuditReport(BaseModel):
    """Result of verifying the organization's trail."""

    intact: bool
    organization_id: str
    verified_at: datetime
    records: int = Field(description="Number of records rehashed.")
    seals: int
    first_seal: int | None
    last_seal: int | None
    last_sequence: int
    head_hash: str | None = Field(description="Hash of the last verified seal. Store it to detect truncation later.")
    retired_seals: int = Field(description="Seals whose records are past their retention period.")
    waiting: int = Field(description="Records not sealed yet.")
    anchors: int = Field(description="Number of seals compared with the blob store.")
    anchored_through: int | None
    next_after_seal: int | None = Field(
        description="Pass it as `after_seal` to continue. Null when everything was verified."
    )
    findings: list[AuditFinding]


class EraseSubject(BaseModel):
    """A request to erase a person from the trail."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"data_subject": "ada@example.org"}]})

    data_subject: Annotated[str, StringConstraints(min_length=1, max_length=500)] = Field(
        description="The exact identifier of the person in the records."
    )


class AuditErasure(BaseModel):
    """Result of an erasure. The remaining digests reveal nothing without their salts."""

    id: str
    erased_values: int


def record_to_wire(record: Record, personal: Mapping[str, Any] | None) -> dict[str, Any]:
    """`record` as the members of `AuditRecord`."""
    return {**record.document(), "personal": personal}


def proof_to_wire(proof: Proof) -> dict[str, Any]:
    """`proof` as the members of `InclusionProof`."""
    return {**proof.as_json(), "record": proof.record.document(), "seal": proof.seal.document()}
