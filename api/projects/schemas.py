"""Projects schemas."""

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from api.texts import LABELS_MAX, LabelName, LabelValue, Line
from core.keys.projects.repository import Project as ProjectRecord
from core.kit.clock import isoformat
from core.kit.data_classes import DataClass
from core.kit.ids import ORGANIZATION, PROJECT, encode

_COST_CENTRE = "The cost center that the project is charged to. Reports can be grouped by it."
_OWNER = "The project's owner: a team or a mailbox."
_CLASS = "The minimum data class of the project's jobs. `public` means no minimum."
_LABELS = "Your labels."


def _without_default(schema: dict[str, Any]) -> None:
    # A field left out stays unchanged; it never becomes the default, which only marks its absence.
    del schema["default"]


class CreateProject(BaseModel):
    """A request for a project."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"name": "claims", "cost_centre": "4711", "owner": "claims@acme.example"}]},
    )

    name: Line = Field(description="The name, unique within the organization.")
    cost_centre: Line | None = Field(None, description=_COST_CENTRE)
    owner: Line | None = Field(None, description=_OWNER)
    labels: dict[LabelName, LabelValue] = Field(default_factory=dict, max_length=LABELS_MAX, description=_LABELS)
    data_class: DataClass = Field(DataClass.PUBLIC, description=_CLASS)


class UpdateProject(BaseModel):
    """Fields to change. Fields left out keep their value; null removes a value."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"cost_centre": "4712"}], "minProperties": 1}
    )

    name: Line = Field("", description="The name, unique within the organization.", json_schema_extra=_without_default)
    cost_centre: Line | None = Field(None, description=_COST_CENTRE)
    owner: Line | None = Field(None, description=_OWNER)
    labels: dict[LabelName, LabelValue] = Field(
        default_factory=dict, max_length=LABELS_MAX, description=f"{_LABELS} Replaces all labels."
    )
    data_class: DataClass = Field(DataClass.PUBLIC, description=_CLASS, json_schema_extra=_without_default)

    @model_validator(mode="after")
    def _changes_something(self) -> Self:
        if not self.model_fields_set:
            raise ValueError("send at least one field to change")
        return self


class Project(BaseModel):
    """A unit of work, access and cost within the organization."""

    id: str = Field(examples=["prj_01jd3q8v9tfq8a1b2c3d4e5f6g"])
    organization_id: str
    name: str
    cost_centre: str | None
    owner: str | None
    labels: dict[str, str]
    data_class: DataClass = Field(description=_CLASS)
    created_at: datetime
    archived_at: datetime | None = Field(description="Since when the project is read-only. Null while it is active.")


class ProjectPage(BaseModel):
    """A page of projects, newest first."""

    data: list[Project]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


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
