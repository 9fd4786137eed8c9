"""Guard policies, what they find, and what people say about it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from waybill.client.models.base import Resource


class GuardPolicyVersion(Resource):
    """A version of a policy: its number, and the template that it equals."""

    version: int
    template: str | None = None
    created_at: datetime | None = None
    created_by: str | None = None


class GuardPolicy(GuardPolicyVersion):
    """The policy of the organization or of a project; `policy` is the document, `floor` the operator's template."""

    scope: str
    project_id: str | None = None
    policy: Mapping[str, Any]
    floor: str


class GuardTemplate(Resource):
    """A policy that comes with Waybill."""

    name: str
    policy: Mapping[str, Any]


class GuardTemplates(Resource):
    """From the mildest to the strictest."""

    data: list[GuardTemplate]


class GuardFinding(Resource):
    """What was found at ``text[start:end]``, and what the policy wants done about it."""

    kind: str
    start: int
    end: int
    score: float
    recognizer: str
    action: str
    mode: str


class ScreenedText(Resource):
    """One text: what was found, the text without it, and a view as HTML that marks it."""

    findings: list[GuardFinding]
    redacted: str
    html: str


class GuardScreening(Resource):
    """What a policy says about some texts, in their order."""

    action: str
    data_class: str | None = None
    incomplete: bool = False
    data: list[ScreenedText]


class GuardReview(Resource):
    """A person's verdict on a finding. `value` is shown only to those who may change policies."""

    id: str
    project_id: str | None = None
    job_id: str | None = None
    kind: str
    value: str | None = None
    verdict: str
    allowed: bool = False
    reviewed_by: str | None = None
    created_at: datetime


class PseudonymErasure(Resource):
    """How many pseudonyms of a value have become unreadable."""

    erased_pseudonyms: int
