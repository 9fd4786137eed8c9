"""Guard: policies about personal data, injections and classes of text, and trying them."""

# Written by `python -m waybill.client.generate` from aio/guard.py: change that, and run it again.

from collections.abc import Mapping, Sequence
from typing import Any

from waybill.client.bodies import given
from waybill.client.models import (
    GuardPolicy,
    GuardPolicyVersion,
    GuardReview,
    GuardScreening,
    GuardTemplate,
    GuardTemplates,
    Page,
    PseudonymErasure,
)
from waybill.client.sync.endpoints import Endpoints

_GUARD = "/v1/guard"


class Guard(Endpoints):
    """``/v1/guard``. With a `project_id`, the policy of that project; without, the organization's."""

    def policy(self, *, project_id: str | None = None, version: int | None = None) -> GuardPolicy:
        """The policy in force, or an earlier version. Raises `NotFound`."""
        return self._get(GuardPolicy, f"{_GUARD}/policy", given(project_id=project_id, version=version))

    def put(
        self, policy: Mapping[str, Any], *, project_id: str | None = None, version: int | None = None
    ) -> GuardPolicy:
        """Put a whole policy in force. Raises `Conflict` when `version`, which you changed, is not the newest."""
        body = {"policy": dict(policy), **given(version=version)}
        return self._put(GuardPolicy, f"{_GUARD}/policy", body, given(project_id=project_id))

    def use_template(self, template: str, *, project_id: str | None = None, version: int | None = None) -> GuardPolicy:
        """Put a template in force. Raises `Conflict` when `version`, which you saw, is not the newest."""
        body = given(template=template, version=version)
        return self._put(GuardPolicy, f"{_GUARD}/policy", body, given(project_id=project_id))

    def versions(
        self, *, project_id: str | None = None, limit: int = 10, cursor: str | None = None
    ) -> Page[GuardPolicyVersion]:
        """One page of a policy's versions, newest first."""
        params = given(project_id=project_id, limit=limit, cursor=cursor)
        return self._get(Page[GuardPolicyVersion], f"{_GUARD}/policy/versions", params)

    def templates(self) -> list[GuardTemplate]:
        """The policies that come with Waybill, from the mildest to the strictest."""
        found = self._get(GuardTemplates, f"{_GUARD}/templates")
        return found.data

    def screen(
        self,
        text: str | Sequence[str],
        *,
        direction: str | None = None,
        source: str | None = None,
        policy: Mapping[str, Any] | None = None,
        template: str | None = None,
    ) -> GuardScreening:
        """What the policies in force say about a text or several, or what `policy` or `template` would say.

        Raises `ServerProblem` (503) when the analyzer does not answer and the policy could redact or block.
        """
        texts = text if isinstance(text, str) else list(text)
        body = given(text=texts, direction=direction, source=source, policy=policy, template=template)
        return self._post(GuardScreening, f"{_GUARD}/screen", body)

    def review(
        self, kind: str, value: str, verdict: str, *, job_id: str | None = None, allow: bool = False
    ) -> GuardReview:
        """Say that a finding is ``correct`` or a ``false_positive``; with `allow`, it is none from now on."""
        body = {"kind": kind, "value": value, "verdict": verdict, "allow": allow, **given(job_id=job_id)}
        return self._post(GuardReview, f"{_GUARD}/reviews", body)

    def reviews(self, *, verdict: str | None = None, limit: int = 50, cursor: str | None = None) -> Page[GuardReview]:
        """One page of what was said about findings, newest first."""
        params = given(verdict=verdict, limit=limit, cursor=cursor)
        return self._get(Page[GuardReview], f"{_GUARD}/reviews", params)

    def erase(self, value: str) -> int:
        """Make the pseudonyms of a value unreadable in all jobs of the organization; returns how many there were.

        Raises `ServerProblem` (503) where the API has no key of pseudonyms.
        """
        done = self._post(PseudonymErasure, f"{_GUARD}/erasures", {"value": value})
        return done.erased_pseudonyms
