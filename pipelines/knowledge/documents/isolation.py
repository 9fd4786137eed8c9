"""Reads documents in warm children, because a parser that hangs or crashes can only be stopped from outside."""

from collections.abc import Callable
from dataclasses import asdict

from core.kit.closing import Closing
from core.kit.errors import CapabilityFailure
from pipelines._kit.sandbox import profile
from pipelines._kit.sandbox.pool import Pool
from pipelines._kit.sandbox.profile import CRASHED, Bounds, Refusal, SandboxFailure, SandboxProfile
from pipelines.knowledge.documents import wire
from pipelines.knowledge.documents.document import Document
from pipelines.knowledge.documents.errors import CORRUPT, TOO_LARGE, TOO_SLOW, UnreadableDocument
from pipelines.knowledge.documents.limits import DEFAULT_LIMITS, Limits

# The child ends by itself when it has used its seconds of processor time. One that neither ends nor works is killed
# after this many times as much wall-clock time, since on a busy machine a second of work takes several.
_CLOCK_PER_WORK = 4
_GRACE_SECONDS = 3.0
# UTF-8's maximum; text rarely needs JSON escapes.
_BYTES_PER_CHARACTER = 4
_ANSWER_BYTES_LEAST = 1024 * 1024


class IsolatedReader(Closing):
    """Reads in children, one for each thread that reads at the same time. Close it, or use it in a ``with`` block."""

    def __init__(self, limits: Limits = DEFAULT_LIMITS) -> None:
        self._limits = limits
        self._pool = Pool(
            SandboxProfile(
                name="documents",
                entry="pipelines.knowledge.documents.child:open_reader",
                options=asdict(limits),
                bounds=Bounds(
                    memory_bytes=limits.memory_bytes,
                    cpu_seconds=limits.seconds,
                    clock_seconds=_CLOCK_PER_WORK * limits.seconds + _GRACE_SECONDS,
                    # Enough for Python's own caches; parsers write nothing.
                    file_bytes=4 * 1024 * 1024,
                    answer_bytes=_ANSWER_BYTES_LEAST + _BYTES_PER_CHARACTER * limits.characters,
                ),
                size=4,
            )
        )

    def read(
        self,
        data: bytes,
        *,
        name: str,
        content_type: str | None = None,
        owner: str = "",
        check: Callable[[], None] = lambda: None,
    ) -> Document:
        """Read like `readers.read`. `check` is called a few times a second; its exception stops the reading.

        Files of two owners are never read by the same child. Raises `UnreadableDocument`, also when the file makes the
        parser hang, crash or use too much memory, and a retryable `CapabilityFailure` when no child starts.
        """
        # A file that needs no parsing needs no child.
        if len(data) > self._limits.size_bytes:
            raise UnreadableDocument(f"The file is larger than {self._limits.size_bytes // 2**20} MiB.", code=TOO_LARGE)
        try:
            answer = self._pool.call({"name": name, "content_type": content_type}, data, owner=owner, check=check)
            return wire.decode_answer(answer)
        except Refusal as refusal:
            raise UnreadableDocument(refusal.detail, code=refusal.code) from None
        except SandboxFailure as failure:
            raise _explained(failure.reason) from failure
        except (KeyError, TypeError, ValueError) as error:
            # No answer of the reader itself: the file manipulated the child.
            raise _explained(CRASHED) from error

    def close(self) -> None:
        """End the children that are idle."""
        self._pool.close()


def _explained(reason: str) -> CapabilityFailure:
    match reason:
        case profile.NOT_STARTED:
            return CapabilityFailure(
                "The process that reads documents does not start.", code="process_unavailable", retryable=True
            )
        case profile.TOO_SLOW:
            return UnreadableDocument("Reading this file takes longer than is allowed.", code=TOO_SLOW)
        case profile.TOO_MUCH_MEMORY:
            return UnreadableDocument("Reading this file needs more memory than is allowed.", code=TOO_LARGE)
        case _:
            return UnreadableDocument("This file makes its reader fail; it is probably damaged.", code=CORRUPT)
