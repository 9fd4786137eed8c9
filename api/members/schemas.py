"""Members schemas."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.texts import EmailAddress, Line, LongLine
from core.keys.members.repository import Member as MemberRecord
from core.keys.roles import Role
from core.kit.clock import isoformat
from core.kit.ids import MEMBER, encode

_ROLE = "The member's role, at most your own."


class AddMember(BaseModel):
    """A person to add to the organization."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "subject": "7c0f1c0e-2f5e-4d3c-9d55-6c3f2b8a1e10",
                    "issuer": "https://login.microsoftonline.com/3f1e…/v2.0",
                    "email": "ada@acme.example",
                    "role": "developer",
                }
            ]
        },
    )

    subject: LongLine = Field(
        description="The person's subject at the identity provider: `sub`, or `oid` for Entra ID."
    )
    role: Role = Field(description=_ROLE)
    email: EmailAddress | None = Field(None, description="A display name.")
    issuer: Line | None = Field(
        None, description="The issuer of the identity provider. Required when more than one is configured."
    )


class ChangeMember(BaseModel):
    """Fields to change. Fields left out keep their value."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"role": "admin"}], "minProperties": 1})

    role: Role | None = Field(None, description=f"{_ROLE} Null changes nothing.")
    email: EmailAddress | None = Field(None, description="A display name. Null removes it.")

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("send at least one field to change")
        return self


class Member(BaseModel):
    """A person who may act for the organization."""

    id: str = Field(examples=["mem_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    issuer: str
    subject: str
    email: str | None
    role: Role
    created_at: datetime


class MemberPage(BaseModel):
    """A page of members, newest first."""

    data: list[Member]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


def to_wire(member: MemberRecord) -> dict[str, Any]:
    """`member` as the members of `Member`."""
    return {
        "id": encode(MEMBER, member.id),
        "issuer": member.issuer,
        "subject": member.subject,
        "email": member.email,
        "role": member.role,
        "created_at": isoformat(member.created_at),
    }
