"""API key schemas. The key itself is in one response only."""

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
_SHOWN_ONCE = "Shown in this response only: store it now. Null when the response is replayed (`Idempotent-Replayed`)."

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

    name: Line = Field(description="A name for lists.")
    project_id: str | None = Field(
        None,
        max_length=100,
        description="The project of the key, if it is not your own. Needs `projects:write`.",
        examples=["prj_01jd3q8v9tfq8a1b2c3d4e5f6g"],
    )
    scopes: list[Scope] = Field(
        default_factory=list,
        max_length=_SCOPES_MAX,
        description=(
            "The key's scopes, at most your own. Empty means `jobs:*` and `knowledge:*`. `capability:<id>`"
            " limits the key to that capability."
        ),
    )
    role: Role | None = Field(None, description="Adds all scopes of this role to `scopes`.")
    clearance: DataClass | None = Field(
        None,
        description=(
            "The highest data class of results that the key may read. At most your own, which is the default."
        ),
    )
    expires_in_seconds: int | None = Field(
        None, ge=1, le=_LIFE_MAX_SECONDS, description="Lifetime in seconds. Null means that the key never expires."
    )


class RotateKey(BaseModel):
    """Options of a key rotation."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"overlap_seconds": 3600}]})

    overlap_seconds: int = Field(
        24 * 3600,
        ge=0,
        le=int(OVERLAP_MAX.total_seconds()),
        description="How long the old key remains valid. 0 ends it immediately.",
    )


class Key(BaseModel):
    """An API key, without the key itself."""

    id: str = Field(examples=["key_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    project_id: str
    name: str
    prefix: str = Field(description="The first characters of the key, to identify it.")
    scopes: list[str]
    clearance: DataClass = Field(description="The highest data class of results that the key may read.")
    state: Literal["active", "rotating", "expired", "revoked"] = Field(
        description="`rotating`: a new key has replaced this one, which remains valid until `expires_at`."
    )
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="Accurate to about a minute.")
    replaced_by: str | None = Field(description="The key that replaced this one.")


class NewKey(Key):
    """A newly issued key."""

    key: str | None = Field(description=_SHOWN_ONCE)


class KeyPage(BaseModel):
    """A page of keys, newest first."""

    data: list[Key]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


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
