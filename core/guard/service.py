"""Sets guard policies, and stores reviews of findings."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from core.audit.actions import AuditAction
from core.audit.record import record
from core.guard import repository
from core.guard.checks import check, check_text
from core.guard.errors import GuardPolicyChanged, GuardPolicyNotFound
from core.guard.policy import TEMPLATES, GuardPolicy, TemplateName
from core.guard.stored import NewReview, PolicyVersion, Review, Verdict
from core.keys.principal import Principal
from core.kit.db import Executor
from core.kit.errors import NotFound
from core.kit.ids import GUARD_REVIEW, ORGANIZATION, PROJECT, encode, new_id
from core.kit.sealing import CannotOpen, Sealer, secret_keys
from core.kit.settings import Settings

VALUE_MAX_CHARACTERS = 1_000
_PURPOSE = "guard reviews"


def template_of(document: dict[str, Any]) -> TemplateName | None:
    """The template that a stored document equals; None for a tenant's own document."""
    policy = GuardPolicy.model_validate(document)
    return next((name for name, template in TEMPLATES.items() if template == policy), None)


class GuardService:
    """Reads and sets policies of the caller's organization and its projects; each change leaves an audit record."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def get(
        self, session: Executor, principal: Principal, project_id: UUID | None, version: int | None = None
    ) -> PolicyVersion:
        """The policy of the organization, or of one of its projects: the current version, unless one is named.

        Where none was set, it is version 0: the template ``off``. Raises `NotFound` for another's project and for a
        version that does not exist.
        """
        _require_project(session, principal, project_id)
        found = repository.get(session, principal.organization_id, project_id, version)
        if found is None:
            if version:
                raise GuardPolicyNotFound(f"this policy has no version {version}")
            empty = TEMPLATES["off"].model_dump(mode="json")
            return PolicyVersion(principal.organization_id, project_id, 0, empty)
        return found

    def versions(
        self, session: Executor, principal: Principal, project_id: UUID | None, *, before: int | None, limit: int
    ) -> list[PolicyVersion]:
        """Versions of one policy, newest first, with numbers below `before`. Raises `NotFound`."""
        _require_project(session, principal, project_id)
        return repository.list_versions(session, principal.organization_id, project_id, before, limit)

    def put(
        self,
        session: Session,
        principal: Principal,
        project_id: UUID | None,
        policy: GuardPolicy,
        *,
        expected: int | None = None,
    ) -> PolicyVersion:
        """Set a new version, effective within two seconds everywhere; an unchanged policy is not stored again.

        `expected` is the number of the version that the caller changed. Raises `GuardPolicyChanged` when another is
        current, `Unprocessable` for a policy that cannot be applied, and `NotFound` for another's project.
        """
        check(policy)
        before = self.get(session, principal, project_id)
        if expected is not None and expected != before.version:
            raise _changed(before.version)
        document = policy.model_dump(mode="json")
        if before.version and GuardPolicy.model_validate(before.document) == policy:
            return before
        following = PolicyVersion(
            principal.organization_id, project_id, before.version + 1, document, created_by=principal.actor_id
        )
        if repository.add(session, following) is None:
            raise _changed(following.version)
        subject = encode(ORGANIZATION, principal.organization_id) if project_id is None else encode(PROJECT, project_id)
        record(
            session,
            principal.organization_id,
            project_id,
            AuditAction.GUARD_POLICY_UPDATE,
            subject_id=subject,
            actor=principal.actor,
            detail={"version": following.version, "template": template_of(document), **counts_of(policy)},
        )
        return self.get(session, principal, project_id)

    def review(self, session: Session, principal: Principal, new: NewReview) -> Review:
        """Store the caller's review of a finding; its value is stored sealed.

        With `allow`, a false positive also joins the allow-list of the caller's project, or of the organization when
        the caller named no project. Raises the errors of `put`, and `SealingKeyMissing`.
        """
        project_id = principal.project_id if principal.has_project else None
        if new.allow:
            check_text(new.value, "body.value")
            policy = GuardPolicy.model_validate(self.get(session, principal, project_id).document)
            if new.value not in policy.allow:
                changed = policy.model_copy(update={"allow": (*policy.allow, new.value)})
                self.put(session, principal, project_id, changed)
        review_id = new_id()
        box = Sealer(secret_keys(self._settings), _PURPOSE).seal(review_id, new.value.encode())
        made = repository.add_review(session, principal, project_id, new, review_id, box)
        record(
            session,
            principal.organization_id,
            project_id,
            AuditAction.GUARD_REVIEW,
            subject_id=encode(GUARD_REVIEW, made.id),
            actor=principal.actor,
            detail={"kind": new.kind, "verdict": new.verdict, "is_allowed": new.allow},
        )
        return made

    def reviews(
        self, session: Executor, principal: Principal, *, verdict: Verdict | None, cursor: UUID | None, limit: int
    ) -> Sequence[Review]:
        """The organization's reviews, newest first, with ids below `cursor`."""
        return repository.list_reviews(session, principal.organization_id, verdict=verdict, cursor=cursor, limit=limit)

    def reveal(self, review: Review) -> str | None:
        """The text that a review is about; None once it is erased or its key is lost."""
        if review.box is None:
            return None
        try:
            return Sealer(secret_keys(self._settings), _PURPOSE).open(review.id, review.box).decode()
        except CannotOpen:
            return None


def counts_of(policy: GuardPolicy) -> dict[str, int]:
    """Counts of a policy's contents, for records that must not contain a tenant's own words."""
    return {
        "rules": len(policy.rules),
        "allow": len(policy.allow),
        "terms": sum(len(each.terms) for each in policy.dictionaries),
        "patterns": len(policy.patterns),
        "examples": len(policy.examples),
        "classes": len(policy.classes),
        "link_hosts": len(policy.link_hosts),
    }


def _require_project(session: Executor, principal: Principal, project_id: UUID | None) -> None:
    if project_id is not None and not repository.has_project(session, principal.organization_id, project_id):
        shown = encode(PROJECT, project_id)
        raise NotFound(f"there is no project {shown} in your organization", code="project_not_found")


def _changed(newest: int) -> GuardPolicyChanged:
    return GuardPolicyChanged(
        f"version {newest} of this policy was put meanwhile; read it, and put your change on top of it", version=newest
    )
