"""Answers to identical requests, per project, in Redis. Off unless a project is named in the settings.

An entry is stored under the project's own key for a limited time. It is not encrypted, so nothing above ``internal`` is
stored. While Redis is unavailable, every request goes to the model.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast
from uuid import UUID

from redis import Redis, RedisError

from core.gateway.models import Break, ChatRequest, Chunk, Citation, Finish, Image, Role, Text, ToolCall
from core.kit.logging import get_logger
from core.registry.records import ResolvedModel

CACHED_CLASSES = frozenset({"public", "internal"})
# A larger answer is rarely requested twice, and Redis memory is limited.
_MAX_BYTES = 256 * 1024
_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A whole answer as it was streamed."""

    chunks: tuple[Chunk, ...]
    finish: Finish
    model_reported: str | None
    left_out: tuple[str, ...]


class ResponseCache:
    """Cached answers. Thread-safe. Never raises: an entry that cannot be read is a miss."""

    def __init__(self, redis: Redis, *, key_prefix: str, projects: frozenset[UUID], ttl_seconds: int) -> None:
        self._redis = redis
        self._prefix = key_prefix
        self._projects = projects
        self._ttl_seconds = ttl_seconds

    def serves(self, project_id: UUID, data_class: str) -> bool:
        """Whether answers to this project's jobs of this class may be cached."""
        return project_id in self._projects and data_class in CACHED_CLASSES

    def get(self, project_id: UUID, digest: str) -> CachedAnswer | None:
        """The answer to the request with that digest."""
        try:
            raw = self._redis.get(self._key(project_id, digest))
            return None if raw is None else _read(cast("bytes", raw))
        except (RedisError, ValueError, KeyError, TypeError) as error:
            _log.warning("response_cache_unread", error=type(error).__name__)
            return None

    def put(self, project_id: UUID, digest: str, answer: CachedAnswer) -> None:
        """Store an answer."""
        raw = json.dumps(asdict(answer)).encode()
        if len(raw) > _MAX_BYTES:
            return
        try:
            self._redis.set(self._key(project_id, digest), raw, ex=self._ttl_seconds)
        except RedisError as error:
            _log.warning("response_cache_unwritten", error=type(error).__name__)

    def close(self) -> None:
        """Close the connections."""
        self._redis.close()

    def _key(self, project_id: UUID, digest: str) -> str:
        return f"{self._prefix}:answers:{project_id}:{digest}"


def digest_of(model: ResolvedModel, request: ChatRequest) -> str:
    """SHA-256 of everything that determines an answer: the version of the model and the whole request."""
    asked = {
        "model": [model.model, str(model.version_id), model.deployment, model.provider_model],
        "parameters": dict(model.parameters),
        "system": request.system,
        "messages": [
            [message.role, message.name, _parts(request, message.role, message.parts)] for message in request.messages
        ],
        "tools": [[tool.name, tool.description, dict(tool.parameters), tool.strict] for tool in request.tools],
        "choice": request.tool_choice,
        "schema": None if request.output_schema is None else dict(request.output_schema),
        "output": [request.output_name, request.output_description, request.output_strict],
        "stop": request.stop,
        "json_object": request.json_object,
        "limit": request.max_output_tokens if request.has_own_limit else None,
        "temperature": request.temperature,
        "options": dict(request.options),
        "sample": request.sample,
    }
    # In the order of the request: a schema whose properties come in another order produces another answer.
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def _parts(request: ChatRequest, role: Role, parts: Sequence[Any]) -> list[Any]:
    rendered: list[Any] = []
    if role is Role.USER:
        rendered.append(request.render([part for part in parts if not isinstance(part, Image | Break)]))
    for part in parts:
        if isinstance(part, Image):
            rendered.append([part.media_type, part.detail, hashlib.sha256(part.data).hexdigest()])
        else:
            # Passages are hashed with their ids: a citation in the answer names them.
            rendered.append([type(part).__name__, part.text if isinstance(part, Text) else asdict(part)])
    return rendered


def _read(raw: bytes) -> CachedAnswer:
    found: Mapping[str, Any] = json.loads(raw)
    return CachedAnswer(
        tuple(
            Chunk(
                chunk["text"],
                tuple(Citation(**cited) for cited in chunk["citations"]),
                tuple(ToolCall(**call) for call in chunk["tool_calls"]),
            )
            for chunk in found["chunks"]
        ),
        Finish(found["finish"]),
        found["model_reported"],
        tuple(found["left_out"]),
    )
