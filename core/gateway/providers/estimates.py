"""Token counts where the provider gives none: before a call its bound, after an interrupted one what it consumed."""

import json
from collections.abc import Mapping

from core.gateway.models import ChatRequest, Role, Text, Usage
from core.gateway.providers.estimator import Estimator
from core.gateway.streams import Meter

# The dearest picture of the providers' own tables: what is larger is scaled down before it is read.
_IMAGE_TOKENS = 5000
# What a chat template adds around a message.
_MESSAGE_TOKENS = 8
# What a provider may add of its own to explain tools, or a schema, to its model: a few hundred, and then some.
_TOOLS_TOKENS = 1000


def text_of(request: ChatRequest) -> str:
    """Everything that a model reads of a request, as one text: what is counted when nothing is reported."""
    pieces = [request.system] if request.system else []
    for message in request.messages:
        if message.role is Role.USER:
            pieces.append(request.render(message.readable))
        else:
            pieces.extend(part.text for part in message.parts if isinstance(part, Text))
        pieces.extend(f"{call.name} {call.arguments}" for call in message.tool_calls)
        pieces.extend(result.text for result in message.tool_results)
    pieces.extend(f"{tool.name} {tool.description} {json.dumps(dict(tool.parameters))}" for tool in request.tools)
    if request.output_schema is not None:
        pieces.append(json.dumps(dict(request.output_schema)))
    return "\n".join(pieces)


def bound_of(request: ChatRequest, estimator: Estimator) -> Mapping[str, int]:
    """The most that a request can consume, by kind of the ledger: money is set aside for it, so it must never be low.

    Without the model's own tokenizer that is a token for every byte, because no tokenizer makes more of a text than it
    has bytes; another model's would count some scripts, or a row of emoji, as next to nothing. A picture is 5,000.
    """
    text = text_of(request)
    counted = estimator.count_tokens(text) if estimator.is_exact else len(text.encode())
    counted += _MESSAGE_TOKENS * (len(request.messages) + 1)
    if request.tools or request.output_schema is not None:
        counted += _TOOLS_TOKENS
    pictures = sum(len(message.images) for message in request.messages)
    return {"input_tokens": counted + pictures * _IMAGE_TOKENS, "output_tokens": request.max_output_tokens}


def usage_of(meter: Meter, model: str, request: ChatRequest, estimator: Estimator) -> Usage:
    """What a call consumed: as reported, or counted where it was interrupted before the report."""
    if not meter.sent:
        return Usage(model, 0, 0)
    estimated = meter.input_tokens is None or meter.output_tokens is None
    if meter.input_tokens is None and meter.input_counted is None:
        meter.input_counted = estimator.input_tokens(text_of(request))
    counted = meter.input_counted or 0
    return Usage(
        model,
        meter.input_tokens if meter.input_tokens is not None else counted,
        meter.output_tokens if meter.output_tokens is not None else estimator.output_tokens(meter.text, meter.pieces),
        cached_input_tokens=meter.cached_input_tokens,
        cache_write_tokens=meter.cache_write_tokens,
        reasoning_tokens=meter.reasoning_tokens,
        estimated=estimated,
        worker_seconds=meter.worker_seconds,
    )


def learn_from(meter: Meter, request: ChatRequest, estimator: Estimator) -> None:
    """Let `estimator` learn from a call that came to its end, with a report of what it consumed.

    Calls with pictures teach nothing, because nobody here can count those.
    """
    if meter.input_tokens is None or meter.output_tokens is None or meter.finish is None:
        return
    if any(message.images for message in request.messages) or not estimator.wants_to_learn():
        return
    shown = meter.output_tokens - meter.reasoning_tokens
    estimator.learn(text_of(request), meter.input_tokens, meter.text, meter.pieces, shown)
