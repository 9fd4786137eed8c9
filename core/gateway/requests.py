"""Checks a request to a model against what the model's version can do."""

from dataclasses import replace

from core.gateway.models import Ability, ChatRequest
from core.kit.errors import CapabilityFailure
from core.registry.records import ResolvedModel

# The interfaces that distinguish them.
_GIVES_LOGPROBS = frozenset({"azure-openai", "openai-compatible"})


def within(model: ResolvedModel, request: ChatRequest) -> ChatRequest:
    """The request with its output limited to what the model's version allows, also when it sets no limit itself."""
    most = model.max_output_tokens
    if not request.has_own_limit:
        return replace(request, has_own_limit=most is None, max_output_tokens=most or request.max_output_tokens)
    return request if most is None or request.max_output_tokens <= most else replace(request, max_output_tokens=most)


def require_abilities(model: ResolvedModel, request: ChatRequest) -> None:
    """Raises `CapabilityFailure` when the model lacks an ability that the request needs."""
    needed: list[str] = [
        ability
        for ability, is_needed in (
            (Ability.TOOLS, bool(request.tools)),
            (Ability.JSON_SCHEMA, request.output_schema is not None),
            (Ability.VISION, any(message.images for message in request.messages)),
        )
        if is_needed and ability not in model.abilities
    ]
    if request.options.get("logprobs") and model.provider not in _GIVES_LOGPROBS:
        needed.append("logprobs")
    if needed:
        raise CapabilityFailure(
            f"{model.model} cannot do what this step needs: {', '.join(needed)}; bind a model that can",
            code="model_lacks_ability",
        )
