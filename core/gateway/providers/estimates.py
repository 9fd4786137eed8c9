"""Token counts where the provider gives none: a bound before a call, the consumption after an interrupted one."""

import json
from collections.abc import Mapping

from core.gateway.models import ChatRequest, Role, Text, Usage
from core.gateway.providers.estimator import Estimator
from core.gateway.providers.reported import MAX_REASONING_TOKENS
from core.gateway.streams import Meter

# The most expensive picture in the providers' own tables: larger ones are scaled down before they are read.
_IMAGE_TOKENS = 5000
# What a chat template adds around a message.
_MESSAGE_TOKENS = 8
# What a provider may add to explain tools, or a schema, to its model: a few hundred tokens, with a margin.
_TOOLS_TOKENS = 1000
# The longest tokens of today's vocabularies are runs of 128 spaces.
_MAX_TOKEN_BYTES = 128
# Allowance beyond the bound: text that a provider puts around a prompt, and how it may count its additions to tools.
_INPUT_FACTOR, _UNSEEN_TOKENS = 4, 8192


def text_of(request: ChatRequest) -> str:
    """Everything that a model reads of a request, as one text to be counted when nothing is reported."""
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
    """The maximum that a request can consume, by kind of the ledger. It reserves money, so it must never be too low.

    Without the model's own tokenizer it is a token per byte, because no tokenizer makes more tokens than bytes; another
    model's tokenizer would count some scripts, or a row of emoji, as almost nothing. A picture is 5,000.
    """
    text = text_of(request)
    counted = estimator.count_tokens(text) if estimator.is_exact else len(text.encode())
    counted += _MESSAGE_TOKENS * (len(request.messages) + 1)
    if request.tools or request.output_schema is not None:
        counted += _TOOLS_TOKENS
    pictures = sum(len(message.images) for message in request.messages)
    return {"input_tokens": counted + pictures * _IMAGE_TOKENS, "output_tokens": request.max_output_tokens}


def usage_of(meter: Meter, model: str, request: ChatRequest, estimator: Estimator) -> Usage:
    """The consumption of a call: as reported, or counted here where nothing plausible was reported."""
    if not meter.sent:
        return Usage(model, 0, 0)
    read, produced = believed(meter, request, estimator)
    if read is None and meter.input_counted is None:
        meter.input_counted = estimator.input_tokens(text_of(request))
    reasoning = meter.reasoning_tokens
    if produced is None:
        reasoning = estimator.output_tokens(meter.thought, meter.thought_pieces) if meter.thought else 0
    counted = meter.input_counted or 0
    return Usage(
        model,
        counted if read is None else read,
        estimator.output_tokens(meter.text, meter.pieces) + reasoning if produced is None else produced,
        cached_input_tokens=meter.cached_input_tokens if read is not None else 0,
        cache_write_tokens=meter.cache_write_tokens if read is not None else 0,
        reasoning_tokens=reasoning,
        estimated=read is None or produced is None,
        worker_seconds=meter.worker_seconds,
        reason=_reason(meter, read, produced),
    )


def _reason(meter: Meter, read: int | None, produced: int | None) -> str | None:
    """The reason that the ledger records for the amounts, given `meter`'s reports and the accepted counts."""
    reports = ((meter.input_tokens, read), (meter.output_tokens, produced))
    if any(reported is not None and kept is None for reported, kept in reports):
        return "usage_implausible"
    absent = sum(reported is None for reported, _ in reports)
    return {1: "usage_partial", 2: "usage_missing"}.get(absent, meter.read_as)


def believed(meter: Meter, request: ChatRequest, estimator: Estimator) -> tuple[int | None, int | None]:
    """The reported input and output tokens, each None when it is absent or implausible.

    A report is implausible when it exceeds the call's bound, or is less than the longest tokens would make of the text.
    Providers add input that is not visible here, so that has some allowance. Output may exceed a limit that the server
    ignores, by at most one token for every byte received; reasoning may be outside the limit.
    """
    read, produced = meter.input_tokens, meter.output_tokens
    if read is None and produced is None:
        return None, None
    bound = bound_of(request, estimator)
    if read is not None:
        least = len(text_of(request).encode(errors="replace")) / _MAX_TOKEN_BYTES
        if not least <= read <= bound["input_tokens"] * _INPUT_FACTOR + _UNSEEN_TOKENS:
            read = None
    if produced is not None:
        shown = produced - meter.reasoning_tokens
        came = len(meter.text.encode())
        least, most = came / _MAX_TOKEN_BYTES, max(bound["output_tokens"], came)
        is_thought = meter.reasoning_tokens <= MAX_REASONING_TOKENS
        if not (least <= produced and shown <= most and is_thought and (produced or not meter.has_begun)):
            produced = None
    return read, produced


def learn_from(meter: Meter, request: ChatRequest, estimator: Estimator) -> None:
    """Let `estimator` learn from a completed call that reported its consumption.

    Calls with pictures are skipped, because pictures cannot be counted here.
    """
    read, produced = believed(meter, request, estimator)
    if read is None or produced is None or meter.finish is None:
        return
    if any(message.images for message in request.messages) or not estimator.wants_to_learn():
        return
    text, pieces = meter.text, meter.pieces
    if not meter.reasoning_tokens:
        # Reasoning that is not reported separately is in the total.
        text, pieces = meter.thought + text, meter.thought_pieces + pieces
    estimator.learn(text_of(request), read, text, pieces, produced - meter.reasoning_tokens)
