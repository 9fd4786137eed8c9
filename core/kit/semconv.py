"""The names that our spans use, all in one place: OpenTelemetry's conventions for generative AI still change.

Those conventions left the main semantic conventions in May 2026 for a repository of their own,
https://github.com/open-telemetry/semantic-conventions-genai. These names were read there at commit `SOURCE_COMMIT`
(``model/gen-ai/registry.yaml``, ``spans.yaml`` and ``events.yaml``), where all have stability *development*.
`SCHEMA_URL` is the one that the repository's manifest declared; our spans carry it, so that a backend can tell which
names it reads. Names under ``waybill.`` are ours.
"""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

SOURCE_COMMIT = "002c8a6ea1c8a42b14a4527db83b3cabcded610a"
SCHEMA_URL = "https://opentelemetry.io/schemas/gen-ai-dev/1.42.0-dev"

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
CONVERSATION_ID = "gen_ai.conversation.id"
AGENT_ID = "gen_ai.agent.id"
AGENT_NAME = "gen_ai.agent.name"
AGENT_VERSION = "gen_ai.agent.version"
WORKFLOW_NAME = "gen_ai.workflow.name"
TOOL_NAME = "gen_ai.tool.name"
TOOL_CALL_ID = "gen_ai.tool.call.id"
TOOL_TYPE = "gen_ai.tool.type"
DATA_SOURCE_ID = "gen_ai.data_source.id"

REQUEST_MODEL = "gen_ai.request.model"
REQUEST_MAX_TOKENS = "gen_ai.request.max_tokens"
REQUEST_TEMPERATURE = "gen_ai.request.temperature"
REQUEST_STREAM = "gen_ai.request.stream"
REQUEST_TOP_K = "gen_ai.request.top_k"
OUTPUT_TYPE = "gen_ai.output.type"
DIMENSIONS = "gen_ai.embeddings.dimension.count"
RESPONSE_ID = "gen_ai.response.id"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_FINISH_REASONS = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK = "gen_ai.response.time_to_first_chunk"
# Cached tokens are part of the input tokens, reasoning is part of the output tokens.
INPUT_TOKENS = "gen_ai.usage.input_tokens"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_CREATION_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
REASONING_TOKENS = "gen_ai.usage.reasoning.output_tokens"

SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"
INPUT_MESSAGES = "gen_ai.input.messages"
OUTPUT_MESSAGES = "gen_ai.output.messages"

EVALUATION_EVENT = "gen_ai.evaluation.result"
EVALUATION_NAME = "gen_ai.evaluation.name"
EVALUATION_SCORE = "gen_ai.evaluation.score.value"
EVALUATION_LABEL = "gen_ai.evaluation.score.label"

# From the main semantic conventions, where these are stable.
ERROR_TYPE = "error.type"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
HTTP_METHOD = "http.request.method"
HTTP_RESENDS = "http.request.resend_count"
HTTP_ROUTE = "http.route"
HTTP_STATUS = "http.response.status_code"
URL_PATH = "url.path"
# This one has stability development.
DESTINATION = "messaging.destination.name"

ORGANIZATION_ID = "waybill.organization.id"
PROJECT_ID = "waybill.project.id"
JOB_ID = "waybill.job.id"
JOB_ATTEMPT = "waybill.job.attempt"
JOB_ATTEMPTS = "waybill.job.attempts"
JOB_STATE = "waybill.job.state"
JOB_REASON = "waybill.job.reason"
PARENT_JOB_ID = "waybill.job.parent_id"
CAPABILITY = "waybill.capability"
OUTCOME = "waybill.attempt.outcome"
STEP = "waybill.step"
# Amounts that the ledger settled: of one call on the call's span, of all of the job's own calls on the job's span.
COST_USD = "waybill.cost.usd"
COST_PRICED = "waybill.cost.priced"
MODEL = "waybill.model"
DEPLOYMENT = "waybill.deployment"
CACHE_HIT = "waybill.cache.hit"
USAGE_ESTIMATED = "waybill.usage.estimated"
CONTENT_TRUNCATED = "waybill.content.truncated"
CONTENT_WITHHELD = "waybill.content.withheld"
TOOL_SERVER = "waybill.tool.server"
CHUNKS = "waybill.chunks"
MESSAGE_ID = "waybill.webhook.message_id"
# The span was written by another process than the one that did the work, which was lost.
REBUILT = "waybill.rebuilt"


class Operation(StrEnum):
    """The values of `OPERATION` that we use."""

    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    RETRIEVAL = "retrieval"
    EXECUTE_TOOL = "execute_tool"
    INVOKE_AGENT = "invoke_agent"
    INVOKE_WORKFLOW = "invoke_workflow"


# The provider of our own agents; a value of our own is allowed where none of the well-known ones applies.
OURS = "waybill"

# Well-known values of `PROVIDER` by our own names for a provider's protocol.
_BY_PROTOCOL: Mapping[str, str] = MappingProxyType(
    {"openai-compatible": "openai", "azure-openai": "azure.ai.openai", "anthropic": "anthropic", "local": OURS}
)
# An OpenAI-compatible endpoint at one of these hosts, or below it, is that provider's.
_BY_HOST: Mapping[str, str] = MappingProxyType(
    {
        "openai.azure.com": "azure.ai.openai",
        "api.deepseek.com": "deepseek",
        "api.groq.com": "groq",
        "api.mistral.ai": "mistral_ai",
        "api.moonshot.ai": "moonshot_ai",
        "api.perplexity.ai": "perplexity",
        "api.x.ai": "x_ai",
        "generativelanguage.googleapis.com": "gcp.gemini",
        "services.ai.azure.com": "azure.ai.inference",
    }
)


def provider_name(protocol: str, host: str | None = None) -> str:
    """The value of `PROVIDER` for a model that is reached by `protocol`, one of our own names, at `host`."""
    if protocol == "openai-compatible" and host is not None:
        for known, name in _BY_HOST.items():
            if host == known or host.endswith(f".{known}"):
                return name
    return _BY_PROTOCOL.get(protocol, protocol)
