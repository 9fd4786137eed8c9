"""Guard policies, findings and reviews schemas."""

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
# The limit for all texts of one request together.
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

    policy: GuardPolicy | None = Field(None, description="The whole policy. Parts left out are empty.")
    template: TemplateName | None = Field(None, description="Instead of `policy`: the name of a template.")

    @model_validator(mode="after")
    def _not_both(self) -> Self:
        if self.policy is not None and self.template is not None:
            raise ValueError("send either a policy or the name of a template")
        return self


class PutPolicy(Chosen):
    """A new version of a policy. It replaces the previous version completely."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"template": "balanced"}, {"policy": _POLICY_EXAMPLE, "version": 1}]},
    )

    version: int | None = Field(
        None,
        ge=0,
        le=VERSION_MAX,
        description="The version that you edited. If another version is in force, the request is refused with 409.",
    )

    @model_validator(mode="after")
    def _one_of_them(self) -> Self:
        if self.policy is None and self.template is None:
            raise ValueError("send a policy, or the name of a template")
        return self


class _Version(BaseModel):
    version: int = Field(description="Version number of the policy. 0 if it was never set.")
    template: TemplateName | None = Field(description="The template that the policy equals. Null for a custom policy.")
    created_at: datetime | None = Field(description="Null for version 0.")
    created_by: str | None = Field(description="The key or member that set it.")


class Policy(_Version):
    """The guard policy of the organization or of a project. The stricter of both applies, and at least `floor`."""

    scope: Literal["organization", "project"]
    project_id: str | None = Field(description="Null for the organization's policy.")
    policy: GuardPolicy
    floor: TemplateName = Field(description="The operator's template, the minimum for every tenant.")


class PolicyVersionSummary(_Version):
    """Summary of a policy version."""

    rules: int
    allow: int
    terms: int
    patterns: int
    examples: int
    classes: int
    link_hosts: int


class PolicyVersionPage(BaseModel):
    """A page of versions, newest first."""

    data: list[PolicyVersionSummary]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


class Template(BaseModel):
    """A predefined policy."""

    name: TemplateName
    policy: GuardPolicy


class TemplateList(BaseModel):
    """The templates, from the least to the most strict."""

    data: list[Template]


class ScreenTexts(Chosen):
    """Texts to try, and the border to try them on."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"text": "Call Ada on +44 20 7946 0958", "template": "balanced"}]},
    )

    text: Text | Annotated[list[Text], Field(min_length=1, max_length=TEXTS_MAX)] = Field(
        description=f"One or more texts. At most {SCREENED_MAX_CHARACTERS:,} characters together."
    )
    direction: Direction = Field(Direction.TO_MODEL, description="The border that the text would cross.")
    source: Source = Field(Source.INPUT, description="Where the text would come from.")
    policy: GuardPolicy | None = Field(
        None, description="Used instead of the policies in force. The operator's minimum still applies."
    )

    @property
    def texts(self) -> list[str]:
        """The texts as a list."""
        return [self.text] if isinstance(self.text, str) else self.text

    @model_validator(mode="after")
    def _not_too_much(self) -> Self:
        if sum(map(len, self.texts)) > SCREENED_MAX_CHARACTERS:
            raise ValueError(f"at most {SCREENED_MAX_CHARACTERS:,} characters in all texts together")
        return self


class FindingShown(BaseModel):
    """A finding, and the action that the policy requires."""

    kind: str
    start: int = Field(description="First character of the finding in `text`, starting at 0.")
    end: int = Field(description="Position after the last character.")
    score: float
    recognizer: str
    action: Action
    mode: RedactionMode


class Screened(BaseModel):
    """A text and its findings."""

    findings: list[FindingShown]
    redacted: str = Field(description="The text without the parts that would be redacted or blocked.")
    html: str = Field(
        description=(
            "The text as escaped HTML, with a `mark` around each finding. The class of the `mark` is the action."
        )
    )


class Screening(BaseModel):
    """The policy's result. Nothing is stored."""

    action: Action = Field(description="The strictest action of all findings.")
    data_class: DataClass | None = Field(description="The highest data class that the policy assigns to the findings.")
    incomplete: bool = Field(description="True if the analyzer did not answer and the policy only detects.")
    data: list[Screened] = Field(description="Results in the order of the texts.")


class CreateReview(BaseModel):
    """Your review of a finding."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"kind": "person", "value": "Acme Support", "verdict": "false_positive"}]},
    )

    kind: KindName = Field(description="The kind of the finding.")
    value: str = Field(
        min_length=1, max_length=VALUE_MAX_CHARACTERS, description="The text that was found. It is stored encrypted."
    )
    verdict: Verdict
    job_id: str | None = Field(
        None, max_length=40, description="The job with the finding. The text is then erased with the job's payloads."
    )
    allow: bool = Field(
        False,
        description=(
            "Add a false positive to the allowlist of your project, or of the organization if the key has no"
            " project. Needs `guard:write`."
        ),
    )

    @model_validator(mode="after")
    def _allows_only_what_is_false(self) -> Self:
        if self.allow and self.verdict != "false_positive":
            raise ValueError("only a false positive can be added to the allowlist")
        return self


class ReviewShown(BaseModel):
    """A review of a finding."""

    id: str
    project_id: str | None
    job_id: str | None
    kind: str
    value: str | None = Field(description="Null without `guard:write`, and after the job's payloads were erased.")
    verdict: Verdict
    allowed: bool = Field(description="Whether the text was added to the allowlist.")
    reviewed_by: str | None
    created_at: datetime


class ReviewPage(BaseModel):
    """A page of reviews, newest first."""

    data: list[ReviewShown]
    next_cursor: str | None = Field(description="Pass it as `cursor` to get the next page. Null on the last page.")


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
    """A request to erase a value from the pseudonym maps."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"value": "Anna Schmidt"}]})

    value: Annotated[str, StringConstraints(min_length=1, max_length=VALUE_MAX_CHARACTERS)] = Field(
        description=(
            "The whole value, for example a name, an address or a number. Case and white space are ignored, and"
            " in numbers also spaces, dots and dashes."
        )
    )


class PseudonymErasure(BaseModel):
    """Result of an erasure."""

    erased_pseudonyms: int = Field(description="Number of tokens that can no longer be reversed, in all job trees.")
