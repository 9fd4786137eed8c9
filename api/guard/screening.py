"""``POST /v1/guard/screen``: the findings of a policy in a text. Nothing is stored and nothing crosses a border."""

from typing import Any

from fastapi import Request, Response

from api.answers import identify_request, respond_json
from api.deps import get_runtime
from api.guard.schemas import Screening, ScreenTexts
from api.openapi import IDEMPOTENCY_KEY, problems
from api.routing import caller, new_router, requires
from core.guard.checks import check
from core.guard.policy import TEMPLATES, CombinedPolicy
from core.guard.records import Decision
from core.guard.redaction import Names, highlight, redact
from core.guard.screening import AbsentAnalyzer, screen

router = new_router("/v1/guard", "guard")


@router.post(
    "/screen",
    response_model=Screening,
    summary="Test texts against a guard policy",
    description=(
        "Uses the policies in force for your project, or a policy that you send. The same value gets the"
        " same pseudonym in all texts of one request. The policy's examples are not compared; only jobs do"
        " that. Returns 503 if the analyzer does not answer and the policy could redact or block."
    ),
    responses={200: {"description": "The findings."}, **problems(400, 408, 409, 413, 415)},
    openapi_extra={"parameters": [IDEMPOTENCY_KEY]},
)
@requires("guard:screen", organization_wide=True)
async def screen_texts(request: Request, body: ScreenTexts) -> Response:
    """Test texts against a policy."""
    # Running it again gives the same result, so an Idempotency-Key changes nothing.
    identify_request(request, b"")
    return respond_json(await get_runtime(request).in_thread(screening_of, request, body))


def screening_of(request: Request, body: ScreenTexts) -> dict[str, Any]:
    """The members of `Screening`. Blocks."""
    texts = body.texts
    found = screen(
        texts,
        policy=_policy(request, body),
        direction=body.direction,
        source=body.source,
        analyzer=get_runtime(request).analyzer or AbsentAnalyzer(),
    )
    by_text: list[list[Decision]] = [[] for _ in texts]
    for decision in found.decisions:
        by_text[decision.finding.part].append(decision)
    names = Names()
    return {
        "action": found.action.value,
        "data_class": None if found.data_class is None else found.data_class.value,
        "incomplete": found.incomplete,
        "data": [
            {
                "findings": [_to_wire(each) for each in decisions],
                "redacted": redact(text, decisions, names),
                "html": highlight(text, decisions),
            }
            for text, decisions in zip(texts, by_text, strict=True)
        ],
    }


def _policy(request: Request, body: ScreenTexts) -> CombinedPolicy:
    runtime, principal = get_runtime(request), caller(request)
    if body.policy is not None:
        check(body.policy)
    tried = TEMPLATES[body.template] if body.template is not None else body.policy
    if tried is not None:
        return CombinedPolicy([runtime.guard_policies.floor, tried])
    single = runtime.database.single_tenant(principal.organization_id)
    return runtime.guard_policies.of(single, principal.organization_id, principal.project_id)


def _to_wire(decision: Decision) -> dict[str, Any]:
    finding = decision.finding
    return {
        "kind": finding.kind,
        "start": finding.start,
        "end": finding.end,
        "score": finding.score,
        "recognizer": finding.recognizer,
        "action": decision.action.value,
        "mode": decision.mode.value,
    }
