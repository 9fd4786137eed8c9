"""Guard policies, findings and reviews on the wire."""

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict

from core.guard.policy import GuardPolicy, TemplateName
from core.guard.records import Action, Direction, KindName, RedactionMode, Source
from core.guard.service import VALUE_MAX_CHARACTERS, counts_of, template_of
from core.guard.stored import PolicyVersion, Review, Verdict
from core.kit.clock import isoformat
from core.kit.ids import GUARD_REVIEW, JOB, PROJECT, encode
from core.registry.data_classes import DataClass

TEXT_MAX_CHARACTERS = 100_000
TEXTS_MAX = 50
# Of all texts of one request together.
SCREENED_MAX_CHARACTERS = 200_000
VERSION_MAX = 2**31 - 1
Text = Annotated[str, StringConstraints(max_length=TEXT_MAX_CHARACTERS)]
_POLICY_EXAMPLE: JsonDict = {
    "rules": [
        {"kinds": ["secret"], "action": "block"},
        {"kinds": ["person", "email", "code_word"], "directions": ["to_model"], "action": "redact"},
        {"action": "detect"},
    ],
    "allow": ["Acme Support"],
    "dictionaries": [{"kind": "code_word", "terms": ["Project Falcon"], "data_class": "restricted"}],
    "patterns": [{"kind": "badge", "expression": "\\bB-[0-9]{6}\\b"}],
    "examples": [{"text": "We offer the owners 48 million for the company.", "data_class": "restricted"}],
}


class Chosen(BaseModel):
    """A policy: a document, or a template by name."""

    model_config = ConfigDict(extra="forbid")

    policy: GuardPolicy | None = Field(None, description="The whole policy; what it leaves out is empty.")
    template: TemplateName | None = Field(None, description="In place of `policy`: one that comes with Waybill.")

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.policy is not None and self.template is not None:
            raise ValueError("send a policy or the name of a template, not both")
        return self


class PutPolicy(Chosen):
    """A new version of a policy. It takes the place of the one before as a whole."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"template": "balanced"}, {"policy": _POLICY_EXAMPLE, "version": 1}]},
    )

    version: int | None = Field(
        None,
        ge=0,
        le=VERSION_MAX,
        description="The version that you changed: when another is in force by now, nothing is put (409).",
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.policy is None and self.template is None:
            raise ValueError("send a policy, or the name of a template")
        return self


class _Version(BaseModel):
    version: int = Field(description="Counts the versions of one policy; 0 where none was ever put.")
    template: TemplateName | None = Field(description="The template that it equals; null for one of your own.")
    created_at: datetime | None = Field(description="Null for version 0.")
    created_by: str | None = Field(description="The key or member that put it.")


class Policy(_Version):
    """The guard policy of the organization or of a project. The stricter of both holds, and never less than `floor`."""

    scope: Literal["organization", "project"]
    project_id: str | None = Field(description="Null for the organization's.")
    policy: GuardPolicy
    floor: TemplateName = Field(description="The operator's template, which holds for every tenant.")


class PolicyVersionSummary(_Version):
    """A version of a policy: how much is in it."""

    rules: int
    allow: int
    terms: int
    patterns: int
    examples: int
    classes: int
    link_hosts: int


class PolicyVersionPage(BaseModel):
    """Versions, newest first."""

    data: list[PolicyVersionSummary]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


class Template(BaseModel):
    """A policy that comes with Waybill."""

    name: TemplateName
    policy: GuardPolicy


class TemplateList(BaseModel):
    """The templates, from the mildest to the strictest."""

    data: list[Template]


class ScreenTexts(Chosen):
    """Texts to try, and on which border."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"text": "Call Ada on +44 20 7946 0958", "template": "balanced"}]},
    )

    text: Text | Annotated[list[Text], Field(min_length=1, max_length=TEXTS_MAX)] = Field(
        description=f"A text, or several; at most {SCREENED_MAX_CHARACTERS:,} characters together."
    )
    direction: Direction = Field(Direction.TO_MODEL, description="The border that the text would cross.")
    source: Source = Field(Source.INPUT, description="Where it would come from.")
    policy: GuardPolicy | None = Field(
        None, description="Tried in place of the policies in force; the operator's floor holds all the same."
    )

    @property
    def texts(self) -> list[str]:
        """The texts, however many were sent."""
        return [self.text] if isinstance(self.text, str) else self.text

    @model_validator(mode="after")
    def _not_too_much(self) -> Self:
        if sum(map(len, self.texts)) > SCREENED_MAX_CHARACTERS:
            raise ValueError(f"at most {SCREENED_MAX_CHARACTERS:,} characters in all texts together")
        return self


class FindingShown(BaseModel):
    """What was found, and what the policy wants done about it."""

    kind: str
    start: int = Field(description="The first character of `text`, from 0.")
    end: int = Field(description="The character after the last.")
    score: float
    recognizer: str
    action: Action
    mode: RedactionMode


class Screened(BaseModel):
    """One text, and what was found in it."""

    findings: list[FindingShown]
    redacted: str = Field(description="Without what is to be redacted or blocked.")
    html: str = Field(
        description="The text with a `mark` around each finding, whose class is the action. Everything is escaped."
    )


class Screening(BaseModel):
    """What the policy says. Nothing of it is stored."""

    action: Action = Field(description="The strictest of all.")
    data_class: DataClass | None = Field(description="The highest class that the policy gives to what was found.")
    incomplete: bool = Field(description="Whether the analyzer did not answer, where the policy only detects.")
    data: list[Screened] = Field(description="For each text, in its order.")


class CreateReview(BaseModel):
    """What you think of a finding."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"kind": "person", "value": "Acme Support", "verdict": "false_positive"}]},
    )

    kind: KindName = Field(description="The kind of the finding.")
    value: str = Field(
        min_length=1, max_length=VALUE_MAX_CHARACTERS, description="The text that was found. Stored encrypted."
    )
    verdict: Verdict
    job_id: str | None = Field(
        None, max_length=40, description="The job it was found in: the text is then erased with that job's payloads."
    )
    allow: bool = Field(
        False,
        description="Put a false positive on the allow-list of your project, or with no project of the organization;"
        " needs `guard:write`.",
    )

    @model_validator(mode="after")
    def _allows_only_what_is_false(self) -> Self:
        if self.allow and self.verdict != "false_positive":
            raise ValueError("only a false positive can be allowed")
        return self


class ReviewShown(BaseModel):
    """What a person said about a finding."""

    id: str
    project_id: str | None
    job_id: str | None
    kind: str
    value: str | None = Field(description="Null without `guard:write`, and once the job's payloads are erased.")
    verdict: Verdict
    allowed: bool = Field(description="Whether it was put on the allow-list.")
    reviewed_by: str | None
    created_at: datetime


class ReviewPage(BaseModel):
    """Reviews, newest first."""

    data: list[ReviewShown]
    next_cursor: str | None = Field(description="Pass it as `cursor` for the next page; null on the last one.")


def policy_to_wire(found: PolicyVersion, floor: TemplateName) -> dict[str, Any]:
    """`found` as the members of `Policy`."""
    project = None if found.project_id is None else encode(PROJECT, found.project_id)
    return {
        **_version(found),
        "scope": "organization" if project is None else "project",
        "project_id": project,
        "policy": GuardPolicy.model_validate(found.document).model_dump(mode="json"),
        "floor": floor,
    }


def summary_to_wire(found: PolicyVersion) -> dict[str, Any]:
    """`found` as the members of `PolicyVersionSummary`."""
    return {**_version(found), **counts_of(GuardPolicy.model_validate(found.document))}


def review_to_wire(review: Review, value: str | None) -> dict[str, Any]:
    """`review` as the members of `ReviewShown`."""
    return {
        "id": encode(GUARD_REVIEW, review.id),
        "project_id": None if review.project_id is None else encode(PROJECT, review.project_id),
        "job_id": None if review.job_id is None else encode(JOB, review.job_id),
        "kind": review.kind,
        "value": value,
        "verdict": review.verdict,
        "allowed": review.is_allowed,
        "reviewed_by": review.reviewed_by,
        "created_at": isoformat(review.created_at),
    }


def _version(found: PolicyVersion) -> dict[str, Any]:
    return {
        "version": found.version,
        "template": template_of(found.document),
        "created_at": None if found.created_at is None else isoformat(found.created_at),
        "created_by": found.created_by,
    }


class EraseValue(BaseModel):
    """A request to erase a value from the maps of pseudonyms."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"value": "Anna Schmidt"}]})

    value: Annotated[str, StringConstraints(min_length=1, max_length=VALUE_MAX_CHARACTERS)] = Field(
        description="A name, an address, a number: the whole value. Case and white space do not matter, nor do blanks,"
        " dots and dashes in a number."
    )


class PseudonymErasure(BaseModel):
    """What an erasure did."""

    erased_pseudonyms: int = Field(description="How many tokens have become unreadable, in all trees of jobs.")
