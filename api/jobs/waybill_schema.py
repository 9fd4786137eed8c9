"""The schema of the waybill document, as the OpenAPI document publishes it."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.audit.schemas import AuditSeal, SealedRecord


class WaybillJob(BaseModel):
    """Identity and outcome of the job."""

    id: str
    parent_id: str | None
    root_id: str | None
    state: str
    reason: str | None
    data_class: str
    error_code: str | None
    attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    trace_id: str | None


class WaybillAsked(BaseModel):
    """The request."""

    capability: str
    input_digest: str | None = Field(description="SHA-256 of the input's JSON: sorted keys, no white space, UTF-8.")
    metadata_digest: str
    priority: str
    max_attempts: int
    max_cost_usd: str | None
    deadline_at: datetime | None


class WaybillStep(BaseModel):
    """A step of an attempt."""

    step: str | None
    started_at: datetime
    finished_at: datetime | None
    duration_ms: str | int | None


class WaybillAttempt(BaseModel):
    """An attempt. `outcome` is the event that ended it."""

    attempt: int
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    reason: str | None
    steps: list[WaybillStep]


class WaybillModel(BaseModel):
    """Usage and cost of one model version."""

    provider: str
    model: str
    model_version: str | None
    calls: int
    quantities: dict[str, str | int]
    cost_usd: str | None = Field(description="Null when the model has no price.")
    priced: bool


class WaybillCostLine(BaseModel):
    """A ledger line."""

    attempt: int
    call: int
    entry: int
    kind: Literal["settlement", "correction"]
    recorded_at: datetime
    step: str | None
    provider: str
    model: str
    model_version: str | None
    quantities: dict[str, str | int]
    amounts_usd: dict[str, str]
    amount_usd: str | None = Field(description="Null when there is no price.")
    priced: bool
    estimated: bool
    reason: str | None


class WaybillCosts(BaseModel):
    """The cost of the job. The lines add up exactly to the total."""

    currency: Literal["USD"]
    total_usd: str | None = Field(description="The known cost. Null when no part of it had a price.")
    priced: bool
    open_calls: int
    lines: list[WaybillCostLine]


class WaybillDecision(BaseModel):
    """A policy decision about the job."""

    record_id: str
    action: str
    decided_at: datetime
    detail: dict[str, Any]


class WaybillChild(BaseModel):
    """A child job of this job. It has its own waybill."""

    id: str
    key: str = Field(description="The name under which it was called.")
    capability: str
    state: str
    input_digest: str | None
    result_digest: str | None
    cost_usd: str | None = Field(description="Cost including its descendants. Null when no part of it had a price.")
    priced: bool = Field(description="Whether the cost is complete. If false, the actual cost is higher than shown.")


class WaybillResult(BaseModel):
    """The result."""

    state: str
    digest: str | None = Field(description="SHA-256 of the result's JSON, serialized like the input.")


class WaybillProof(BaseModel):
    """Position of a record in its seal's tree."""

    seal: int
    leaf_index: int
    tree_size: int
    path: list[str]


class WaybillRecord(BaseModel):
    """An audit record of the job, with its inclusion proof."""

    record: SealedRecord
    proof: WaybillProof


class WaybillArtifact(BaseModel):
    """A file that the job produced, by its digest."""

    name: str
    content_type: str
    size_bytes: int
    sha256: str


class WaybillExperiment(BaseModel):
    """An experiment that the job took part in. `state` and `reason` are those at the time of issue."""

    model_config = ConfigDict(protected_namespaces=())

    experiment_id: str
    arm: str
    kind: str
    model: str | None
    model_version_id: str | None
    prompt: str | None
    prompt_digest: str | None
    exposed_at: datetime
    state: str
    reason: str | None


class WaybillAudit(BaseModel):
    """The job's audit records, and the seals that cover them."""

    records: list[WaybillRecord]
    seals: list[AuditSeal]
    unsealed: list[str]


class WaybillSignature(BaseModel):
    """Signature over the line ``waybill.document/1`` and the document's canonical JSON (RFC 8785) without it."""

    algorithm: Literal["Ed25519"]
    key_id: str
    value: str


class Waybill(BaseModel):
    """The signed receipt of a job."""

    type: Literal["waybill/1"]
    issued_at: datetime
    organization_id: str
    project_id: str
    key_id: str | None
    job: WaybillJob
    asked: WaybillAsked
    attempts: list[WaybillAttempt]
    events_omitted: bool
    models: list[WaybillModel]
    costs: WaybillCosts
    experiments: list[WaybillExperiment]
    policy_decisions: list[WaybillDecision]
    children: list[WaybillChild]
    result: WaybillResult
    artifacts: list[WaybillArtifact]
    audit: WaybillAudit
    signature: WaybillSignature
