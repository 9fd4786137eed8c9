"""Projects on the wire."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.texts import LABELS_MAX, LabelName, LabelValue, Line
from core.keys.projects.repository import Project as ProjectRecord
from core.kit.clock import isoformat
from core.kit.data_classes import DataClass
from core.kit.ids import ORGANIZATION, PROJECT, encode

_COST_CENTRE = "Whom the project's cost is charged to; reports can be grouped by it."
_OWNER = "Who answers for the project: a team or a mailbox."
_CLASS = "The least class of its jobs' data; `public` asks for nothing."
_LABELS = "Your own names and values."


def _without_default(schema: dict[str, Any]) -> None:
    # A name that is left out stays; it never becomes the default, which only marks its absence.
    del schema["default"]


class CreateProject(BaseModel):
    """A request for a project."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "claims", "cost_centre": "4711", "owner": "claims@acme.example"}]},
    )

    name: Line = Field(description="Unique in the organization.")
    cost_centre: Line | None = Field(None, description=_COST_CENTRE)
    owner: Line | None = Field(None, description=_OWNER)
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict, max_length=LABELS_MAX, description=_LABELS)
    data_class: DataClass = Field(DataClass.PUBLIC, description=_CLASS)


class UpdateProject(BaseModel):
    """What is to change; what is left out stays, and null takes a value away."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"cost_centre": "4712"}], "minProperties": 1}
    )

    name: Line = Field("", description="Unique in the organization.", json_schema_extra=_without_default)
    cost_centre: Line | None = Field(None, description=_COST_CENTRE)
    owner: Line | None = Field(None, description=_OWNER)
    labels: dict[LabelName, LabelValue] = Field(
        default_factory=dict, max_length=LABELS_MAX, description=f"{_LABELS} All of them: those left out are removed."
    )
    data_class: DataClass = Field(DataClass.PUBLIC, description=_CLASS, json_schema_extra=_without_default)

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("name at least one field to change")
        return self


class Project(BaseModel):
    """What work is done and paid for under."""

    id: str = Field(examples=["prj_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    organization_id: str
    name: str
    cost_centre: str | None
    owner: str | None
    labels: dict[str, str]
    data_class: DataClass = Field(description=_CLASS)
    created_at: datetime
    archived_at: datetime | None = Field(description="Since when it can only be read; null while it works.")


class ProjectPage(BaseModel):
    """Projects, newest first."""

    data: list[Project]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


def to_wire(project: ProjectRecord) -> dict[str, Any]:
    """`project` as the members of `Project`."""
    return {
        "id": encode(PROJECT, project.id),
        "organization_id": encode(ORGANIZATION, project.organization_id),
        "name": project.name,
        "cost_centre": project.cost_centre,
        "owner": project.owner,
        "labels": project.labels,
        "data_class": project.data_class,
        "created_at": isoformat(project.created_at),
        "archived_at": None if project.archived_at is None else isoformat(project.archived_at),
    }
