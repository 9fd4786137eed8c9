"""One exchange with a tool: retried as long as that is safe, then read or refused."""

import threading
from collections.abc import Mapping
from random import uniform
from typing import Any

from core.capability import JobContext
from core.kit import semconv
from core.kit.errors import CapabilityFailure, Outage
from core.kit.semconv import Operation
from core.kit.telemetry import span
from pipelines._kit.tools.answers import AnswerReaders, require_readable
from pipelines._kit.tools.client import OfferedTool, ToolAnswerInvalid, ToolClient, ToolError, ToolRefusal
from pipelines._kit.tools.policies import Effect, ToolPolicy

# A longer wait requested by a server is spent in the queue.
_WAIT_MAX_SECONDS = 3.0
_BACKOFF_SECONDS = (0.2, 1.0, 3.0)


class Exchange:
    """Calls one tool for one job. `may_be_done`: it was sent, so the tool may have been called."""

    def __init__(self, ctx: JobContext, client: ToolClient, policy: ToolPolicy, readers: AnswerReaders) -> None:
        self._ctx = ctx
        self._client = client
        self._policy = policy
        self._readers = readers
        self.may_be_done = False

    def answer(self, sent: Mapping[str, Any], call: str) -> dict[str, Any]:
        """The values for the outcome: status, result, code, message.

        Raises `CapabilityFailure` when nothing was done, or nothing that matters: with an outage when the server may be
        available later. An effect under a key waits for its server too, as it is repeated under that key.
        """
        policy, server = self._policy, self._policy.server
        is_read, is_keyed = policy.effect is Effect.READ, policy.idempotency_argument is not None
        for attempt in range(1, server.max_attempts + 1):
            self._ctx.check()
            try:
                return {"status": "done", "result": self._call(sent, call)}
            except ToolRefusal as refusal:
                return {"status": "refused", "code": refusal.code, "message": refusal.message}
            except ToolError as error:
                self.may_be_done = self.may_be_done or error.was_sent
                can_repeat = is_read or is_keyed or not self.may_be_done
                is_last = attempt == server.max_attempts or not _is_worth_waiting(error) or not can_repeat
                if is_last and error.is_outage and can_repeat:
                    raise self._unavailable(error) from error
                if is_read and (error.is_final or is_last):
                    raise CapabilityFailure(str(error), code=error.code, retryable=not error.is_final) from error
                if error.is_final or is_last:
                    # A server that refuses the first try has done nothing; after that it is not known. A server that
                    # answered has been called, whatever its answer meant.
                    has_answered = isinstance(error, ToolAnswerInvalid)
                    status = "refused" if error.is_final and attempt == 1 and not has_answered else "unknown"
                    return {"status": status, "code": error.code, "message": str(error)}
            self._pause(attempt)
        raise AssertionError("the last attempt returns or raises")

    def offered(self) -> OfferedTool | None:
        """The tool as its server lists it; None when it does not. Raises `CapabilityFailure`."""
        return self.listed().get(self._policy.tool)

    def listed(self) -> Mapping[str, OfferedTool]:
        """All tools that the server lists, by name. Raises `CapabilityFailure`."""
        try:
            return self._client.offered(self._policy.server, check=self._ctx.check)
        except ToolError as error:
            if error.is_outage:
                raise self._unavailable(error) from error
            raise CapabilityFailure(str(error), code=error.code, retryable=not error.is_final) from error

    def wait(self, seconds: float) -> None:
        """Wait; ends early when the attempt must end."""
        pause, left = threading.Event(), seconds
        while left > 0:
            self._ctx.check()
            pause.wait(min(left, 0.25))
            left -= 0.25

    def _call(self, sent: Mapping[str, Any], call: str) -> dict[str, Any]:
        policy, server = self._policy, self._policy.server
        # A call with an effect is waited for, since its time is bounded: if it were cut off, its effect would be
        # unknown.
        check = self._ctx.check if policy.effect is Effect.READ else None
        with span(
            f"{Operation.EXECUTE_TOOL} {policy.tool}",
            attributes={
                semconv.OPERATION: Operation.EXECUTE_TOOL.value,
                semconv.TOOL_NAME: policy.tool,
                semconv.TOOL_CALL_ID: call,
                # Called by the agent itself, in an external system.
                semconv.TOOL_TYPE: "extension",
                semconv.TOOL_SERVER: server.name,
            },
        ):
            try:
                read = self._client.call(server, policy.tool, sent, check=check)
            except (ToolError, ToolRefusal):
                raise
            except BaseException:
                self.may_be_done = True
                raise
        result = renamed(policy, read)
        require_readable(self._readers.get(policy.operation), result, policy)
        return result

    def _pause(self, attempt: int) -> None:
        """Pause before the next try, with full jitter."""
        self.wait(uniform(0, _BACKOFF_SECONDS[min(attempt, len(_BACKOFF_SECONDS)) - 1]))  # noqa: S311 - not a secret

    def _unavailable(self, error: ToolError) -> CapabilityFailure:
        outage = Outage(f"tool server {self._policy.server.name}", error.retry_after_seconds)
        return CapabilityFailure(str(error), code=error.code, outage=outage)


def value_at(read: Mapping[str, Any], path: str) -> Any:
    """The value at the dotted `path` of a tool's answer; None when there is none."""
    found: Any = read
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _is_worth_waiting(error: ToolError) -> bool:
    return error.retry_after_seconds is None or error.retry_after_seconds <= _WAIT_MAX_SECONDS


def renamed(policy: ToolPolicy, read: dict[str, Any]) -> dict[str, Any]:
    """The tool's answer, with the values that the file maps under the operation's own names."""
    if not policy.results:
        return read
    return {**read, **{name: value_at(read, path) for name, path in policy.results.items()}}
