"""Discloses what generated an attempt's reply, result and files, as its project's policy requires."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import UUID

from core.capability import ModelRef
from core.guard.disclosure import QUOTING, Mark, with_notice, writing_models
from core.guard.policy import CombinedPolicy, Disclosure
from core.jobs.records import JobRecord
from core.kit.clock import utc_now
from core.kit.db import SingleStatement
from pipelines.registry import manifests
from workers.marks import marked

FindDisclosure = Callable[[SingleStatement, UUID, UUID], Disclosure]


def default_disclosure(_executor: SingleStatement, _organization_id: UUID, _project_id: UUID) -> Disclosure:
    """The disclosure where an organization and its project have set none."""
    return CombinedPolicy(()).disclosure


class AttemptDisclosure:
    """Safe in threads. Raises the errors of looking up the policy."""

    def __init__(self, job: JobRecord, executor: SingleStatement, find: FindDisclosure) -> None:
        self._job = job
        self._executor = executor
        self._find = find
        manifest = manifests().get(job.capability)
        self._written_by = "none" if manifest is None else manifest.written_by
        self._usage = list(job.usage)
        self._versions: dict[str, str | None] = {}

    def record_call(self, model: str | ModelRef) -> None:
        """Record a model call, whose version a mark may name."""
        if isinstance(model, ModelRef):
            self._versions[model.name] = model.version

    def record_settled(self, line: Mapping[str, Any]) -> None:
        """Record a settled call: a line of the job's usage."""
        self._usage.append(dict(line))

    def with_notice(self, reply: str) -> str:
        """See `core.capability.JobContext.with_notice`."""
        return with_notice(reply, self._policy())

    def mark(self, result: Mapping[str, Any] | None = None) -> Mark | None:
        """The mark for the job's output so far; None when it was not generated, or the policy requires none.

        A `result` that names its `model` takes precedence: the output of a call may have been discarded.
        """
        if self._written_by == "none":
            return None
        wrote = writing_models(self._usage)
        model = wrote[-1] if wrote else None
        if result is not None and "model" in result:
            named = result["model"]
            model = named if isinstance(named, str) and named not in QUOTING else None
        if (model is None and self._written_by == "model") or self._policy().marks is False:
            return None
        return Mark(self._job.id, utc_now(), model, self._versions.get(model or ""))

    def artifact(self, content: bytes | Path, content_type: str) -> bytes | Path:
        """The file with its mark, if its type has a place for one."""
        mark = self.mark()
        return content if mark is None else marked(content, content_type, mark)

    def _policy(self) -> Disclosure:
        return self._find(self._executor, self._job.organization_id, self._job.project_id)
