"""The audit trail on the wire. A sealed record's members but `personal` are what its leaf is the hash of."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from core.audit.documents import Record
from core.audit.findings import Kind
from core.audit.service import Proof

EXAMPLE_ID = "aud_01jd3q8v9tfq8a1b2c3d4e5f6g"


class SealedRecord(BaseModel):
    """A record as it is hashed: the leaf is SHA-256 over a zero byte and the canonical JSON (RFC 8785) of this."""

    version: int
    organization_id: str
    sequence: int | None = Field(description="Its place in the organisation's trail; null until it is sealed.")
    id: str = Field(examples=[EXAMPLE_ID])
    project_id: str | None
    recorded_at: datetime
    action: str = Field(description="`source:subject:action`.", examples=["api:job:submit"])
    subject_id: str = Field(description="What it was done to.")
    actor_kind: str = Field(description="`key`, `user`, `worker`, `dispatcher` or `system`.")
    actor_id: str | None
    attempt: int | None
    payload_digest: str | None = Field(description="SHA-256 of what was sent or answered, which is never stored here.")
    detail: dict[str, Any] = Field(
        description="Facts about the act. Fractions and integers beyond 2^53 are text, digit by digit."
    )


class AuditRecord(SealedRecord):
    """A record, with its personal values where they were not erased."""

    personal: dict[str, str | None] | None = Field(
        description="Values whose salted digests stand in `detail.personal`; null for one that was erased."
    )


class AuditPage(BaseModel):
    """Records, newest first."""

    data: list[AuditRecord]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class AuditSeal(BaseModel):
    """A link of the organisation's chain."""

    version: int
    organization_id: str
    number: int
    id: str
    first_sequence: int
    last_sequence: int
    root: str = Field(description="Root of the Merkle tree (RFC 6962) over the leaves of these records.")
    previous_hash: str
    key_id: str = Field(description="The key in `/.well-known/jwks.json` that signed it.")
    sealed_at: datetime
    hash: str
    signature: str


class InclusionProof(BaseModel):
    """Proof that the record is in the seal: hash it, hash upwards along `path`, and compare with the seal's root."""

    record: SealedRecord
    leaf_index: int
    tree_size: int
    path: list[str] = Field(description="The siblings from the leaf to the root, in hexadecimal.")
    seal: AuditSeal


class AuditFinding(BaseModel):
    """One thing that is wrong, and where."""

    kind: Kind
    message: str
    seal: int | None
    first_sequence: int | None
    last_sequence: int | None


class AuditReport(BaseModel):
    """The outcome of a verification of the organisation's trail."""

    intact: bool
    organization_id: str
    verified_at: datetime
    records: int = Field(description="How many records were hashed again.")
    seals: int
    first_seal: int | None
    last_seal: int | None
    last_sequence: int
    head_hash: str | None = Field(description="Hash of the last verified seal; write it down to notice a cut.")
    retired_seals: int = Field(description="Seals whose records have passed their retention.")
    waiting: int = Field(description="Records that wait for their seal.")
    anchors: int = Field(description="Seals in the blob store that were compared.")
    anchored_through: int | None
    next_after_seal: int | None = Field(description="Pass it as `after_seal` to go on; null when all was verified.")
    findings: list[AuditFinding]


class EraseSubject(BaseModel):
    """A request to erase a person from the trail."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"data_subject": "ada@example.org"}]})

    data_subject: Annotated[str, StringConstraints(min_length=1, max_length=500)] = Field(
        description="What the records name the person by, exactly."
    )


class AuditErasure(BaseModel):
    """What an erasure did. Digests stay in the records, and without their salts tell nothing."""

    id: str
    erased_values: int


def record_to_wire(record: Record, personal: Mapping[str, Any] | None) -> dict[str, Any]:
    """`record` as the members of `AuditRecord`."""
    return {**record.document(), "personal": personal}


def proof_to_wire(proof: Proof) -> dict[str, Any]:
    """`proof` as the members of `InclusionProof`."""
    return {**proof.as_json(), "record": proof.record.document(), "seal": proof.seal.document()}
