"""API keys on the wire. The key itself is in one answer, once."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from api.texts import Line
from core.keys.roles import Role
from core.keys.service import OVERLAP_MAX, ApiKey, IssuedKey
from core.kit.clock import isoformat
from core.kit.data_classes import DataClass
from core.kit.ids import KEY, PROJECT, encode

_SCOPES_MAX = 100
_LIFE_MAX_SECONDS = 10 * 366 * 24 * 3600
_SHOWN_ONCE = "Shown in this answer only: store it now. Null when the answer is repeated (`Idempotent-Replayed`)."

Scope = Annotated[
    str,
    StringConstraints(max_length=140, pattern=r"^([a-z]+:(read|write)|capability:[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*)$"),
]


class CreateKey(BaseModel):
    """A request for a key."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"name": "claims service", "scopes": ["jobs:write", "jobs:read", "capability:knowledge.search"]}
            ]
        },
    )

    name: Line = Field(description="What lists call it.")
    project_id: str | None = Field(
        None,
        max_length=100,
        description="Another project of the organization than your own; needs `projects:write`.",
        examples=["prj_01jd3q8v9tfq8a1b2c3d4e5f6g"],
    )
    scopes: list[Scope] = Field(
        default_factory=list,
        max_length=_SCOPES_MAX,
        description="What it may do, at most what you may; none means `jobs:*` and `knowledge:*`. `capability:<id>`"
        " narrows it to that capability.",
    )
    role: Role | None = Field(None, description="All scopes of this role, beside `scopes`.")
    clearance: DataClass | None = Field(
        None, description="The highest class of data whose results it may read; at most yours, which is the default."
    )
    expires_in_seconds: int | None = Field(
        None, ge=1, le=_LIFE_MAX_SECONDS, description="Its life from now; null means that it never expires."
    )


class RotateKey(BaseModel):
    """How to rotate a key."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"overlap_seconds": 3600}]})

    overlap_seconds: int = Field(
        24 * 3600,
        ge=0,
        le=int(OVERLAP_MAX.total_seconds()),
        description="How long the old key works on; 0 ends it at once.",
    )


class Key(BaseModel):
    """A key as it may be shown."""

    id: str = Field(examples=["key_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    project_id: str
    name: str
    prefix: str = Field(description="How the key begins, by which people tell it from others.")
    scopes: list[str]
    clearance: DataClass = Field(description="The highest class of data whose results it may read.")
    state: Literal["active", "rotating", "expired", "revoked"] = Field(
        description="`rotating`: a new key has taken its place, and it works until `expires_at`."
    )
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="To about a minute.")
    replaced_by: str | None = Field(description="The key that took its place.")


class NewKey(Key):
    """A key that was just issued."""

    key: str | None = Field(description=_SHOWN_ONCE)


class KeyPage(BaseModel):
    """Keys, newest first."""

    data: list[Key]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


def to_wire(key: ApiKey) -> dict[str, Any]:
    """`key` as the members of `Key`."""
    return {
        "id": encode(KEY, key.id),
        "project_id": encode(PROJECT, key.project_id),
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "clearance": key.clearance,
        "state": key.state,
        "created_at": isoformat(key.created_at),
        "expires_at": _time(key.expires_at),
        "revoked_at": _time(key.revoked_at),
        "last_used_at": _time(key.last_used_at),
        "replaced_by": None if key.replaced_by is None else encode(KEY, key.replaced_by),
    }


def new_to_wire(issued: IssuedKey, *, with_key: bool) -> dict[str, Any]:
    """`issued` as the members of `NewKey`."""
    return {**to_wire(issued.record), "key": issued.plaintext if with_key else None}


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else isoformat(moment)
