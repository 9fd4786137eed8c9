"""The schema of the waybill document, as the OpenAPI document publishes it."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from api.audit.schemas import AuditSeal, SealedRecord


class WaybillJob(BaseModel):
    """Which job it is and how it ended."""

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
    """What was asked."""

    capability: str
    input_digest: str | None = Field(description="SHA-256 of the input's JSON: keys sorted, no white space, UTF-8.")
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
    """What one model version consumed and cost."""

    provider: str
    model: str
    model_version: str | None
    calls: int
    quantities: dict[str, str | int]
    cost_usd: str | None = Field(description="Null when the model has no price.")
    priced: bool


class WaybillCostLine(BaseModel):
    """A line of the ledger."""

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
    amount_usd: str | None = Field(description="Null when there is no price for it.")
    priced: bool
    estimated: bool
    reason: str | None


class WaybillCosts(BaseModel):
    """What the job cost; the lines add up to the total, to the last digit."""

    currency: Literal["USD"]
    total_usd: str | None = Field(description="What is known of it; null when nothing is, for want of a price.")
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
    """A job that this one called; it has a waybill of its own."""

    id: str
    key: str = Field(description="The name under which it was called.")
    capability: str
    state: str
    input_digest: str | None
    result_digest: str | None
    cost_usd: str | None = Field(description="With what is below it; null when nothing is known, for want of a price.")
    priced: bool = Field(description="Whether all of it had a price; false: it cost more than is known.")


class WaybillResult(BaseModel):
    """What came of it."""

    state: str
    digest: str | None = Field(description="SHA-256 of the result's JSON, written as the input is.")


class WaybillProof(BaseModel):
    """Where a record stands in its seal's tree."""

    seal: int
    leaf_index: int
    tree_size: int
    path: list[str]


class WaybillRecord(BaseModel):
    """An audit record of the job, with its inclusion proof."""

    record: SealedRecord
    proof: WaybillProof


class WaybillArtifact(BaseModel):
    """A file that the job left behind, by its digest."""

    name: str
    content_type: str
    size_bytes: int
    sha256: str


class WaybillExperiment(BaseModel):
    """An experiment that the job took part in; `state` and `reason` are those at the time of issue."""

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
    """Over the line ``waybill.document/1`` and the canonical JSON (RFC 8785) of the document without this member."""

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
