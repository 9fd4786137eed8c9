"""The findings of a verification, in words and with their positions."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from core.kit.clock import isoformat
from core.kit.ids import ORGANIZATION, encode


class Kind(StrEnum):
    """The kind of a problem."""

    RECORD_ALTERED = "record_altered"
    RECORD_MISSING = "record_missing"
    RECORDS_SWAPPED = "records_swapped"
    RECORD_DUPLICATED = "record_duplicated"
    RECORD_FORGED = "record_forged"
    RECORD_MISPLACED = "record_misplaced"
    LEAF_ALTERED = "leaf_altered"
    BATCH_REWRITTEN = "batch_rewritten"
    SEAL_ALTERED = "seal_altered"
    SEAL_FORGED = "seal_forged"
    SEAL_MISSING = "seal_missing"
    KEY_UNKNOWN = "key_unknown"
    CHAIN_BROKEN = "chain_broken"
    CHAIN_CUT = "chain_cut"
    CHAIN_REPLACED = "chain_replaced"
    ANCHOR_UNREADABLE = "anchor_unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem and its position: sequences of records, or the number of a seal."""

    kind: Kind
    message: str
    seal: int | None = None
    first_sequence: int | None = None
    last_sequence: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The finding as JSON members."""
        return {
            "kind": self.kind.value,
            "message": self.message,
            "seal": self.seal,
            "first_sequence": self.first_sequence,
            "last_sequence": self.last_sequence,
        }


@dataclass(slots=True)
class Report:
    """The result for one organization. `next_after_seal` is set when there is more to verify."""

    organization_id: UUID
    verified_at: datetime
    records: int = 0
    seals: int = 0
    first_seal: int | None = None
    last_seal: int | None = None
    last_sequence: int = 0
    head_hash: bytes | None = None
    retired_seals: int = 0
    waiting: int = 0
    anchors: int = 0
    anchored_through: int | None = None
    next_after_seal: int | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_intact(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def as_json(self) -> dict[str, Any]:
        """The report as JSON members."""
        return {
            "intact": self.is_intact,
            "organization_id": encode(ORGANIZATION, self.organization_id),
            "verified_at": isoformat(self.verified_at),
            "records": self.records,
            "seals": self.seals,
            "first_seal": self.first_seal,
            "last_seal": self.last_seal,
            "last_sequence": self.last_sequence,
            "head_hash": None if self.head_hash is None else self.head_hash.hex(),
            "retired_seals": self.retired_seals,
            "waiting": self.waiting,
            "anchors": self.anchors,
            "anchored_through": self.anchored_through,
            "next_after_seal": self.next_after_seal,
            "findings": [finding.as_json() for finding in self.findings],
        }
