"""Some warm children of one purpose, shared by the threads of a worker."""

import os
import threading
import time
from collections.abc import Mapping
from typing import Any

from core.kit.closing import Closing
from core.kit.logging import get_logger
from pipelines._kit.sandbox.process import Check, Child
from pipelines._kit.sandbox.profile import CRASHED, Refusal, SandboxFailure, SandboxProfile
from pipelines._kit.sandbox.spawner import get_spawner

_ASK_EVERY_SECONDS = 0.1
_DETAIL_MAX = 1000
_CODE_MAX = 80
_log = get_logger(__name__)


class Pool(Closing):
    """At most `SandboxProfile.size` children. Safe in several threads; close it, or use it in a ``with`` block."""

    def __init__(self, profile: SandboxProfile) -> None:
        self._profile = profile
        self._idle: list[Child] = []
        self._working: set[Child] = set()
        # A reserved place whose child has not started yet.
        self._starting = 0
        self._is_closed = False
        self._freed = threading.Condition()
        get_spawner().watch(self)

    @property
    def pids(self) -> list[int]:
        """The children's process ids, the busy ones first."""
        with self._freed:
            return [child.pid for child in (*self._working, *self._idle)]

    @property
    def _count(self) -> int:
        return len(self._idle) + len(self._working) + self._starting

    def call(self, task: Mapping[str, Any], payload: bytes = b"", *, check: Check, owner: str = "") -> dict[str, Any]:
        """The result of the child's handler for `task` and `payload`.

        `check` is called about ten times a second; when it raises, the child is killed. A child that worked for one
        `owner` never works for another, so a hostile file can only affect files of the same owner. Raises
        `SandboxFailure`, and `Refusal` for a `CapabilityFailure` of the handler.
        """
        child = self._take(owner, check)
        try:
            said = child.call(task, payload, check)
        except BaseException as error:
            self._end(child, error.reason if isinstance(error, SandboxFailure) else "stopped")
            raise
        answer, refusal = said.get("answer"), said.get("refusal")
        if isinstance(answer, dict):
            self._give_back(child)
            return answer
        if not isinstance(refusal, dict):
            reason = str(said.get("broke", CRASHED))
            self._end(child, reason, kind=str(said.get("kind", ""))[:80])
            raise SandboxFailure(reason)
        self._give_back(child)
        # Truncated, since a compromised child may send anything, and this is shown and stored.
        raise Refusal(
            str(refusal.get("detail"))[:_DETAIL_MAX],
            code=str(refusal.get("code"))[:_CODE_MAX],
            retryable=bool(refusal.get("retryable")),
        )

    def expire(self) -> None:
        """End the children that were idle too long."""
        oldest = time.monotonic() - self._profile.idle_seconds
        with self._freed:
            old = [child for child in self._idle if child.idle_since < oldest]
            self._remove(old)

    def close(self) -> None:
        """End the idle children now, and the others when their call ends."""
        with self._freed:
            self._is_closed = True
            self._remove(list(self._idle))

    def _take(self, owner: str, check: Check) -> Child:
        while True:
            with self._freed:
                warm = self._warm(owner)
                if warm is not None:
                    return warm
                if self._count < self._profile.size:
                    self._starting += 1
                    break
                self._freed.wait(_ASK_EVERY_SECONDS)
            check()
        return self._start(owner, check)

    def _warm(self, owner: str) -> Child | None:
        """An idle child of this owner; makes room for one when all idle children belong to others."""
        self._remove([child for child in self._idle if not child.is_alive])
        for child in reversed(self._idle):
            if child.owner == owner:
                self._idle.remove(child)
                self._working.add(child)
                return child
        if self._idle and self._count >= self._profile.size:
            self._remove(self._idle[:1])
        return None

    def _start(self, owner: str, check: Check) -> Child:
        try:
            child = Child(self._profile, owner)
        except BaseException:
            with self._freed:
                self._starting -= 1
                self._freed.notify()
            raise
        with self._freed:
            self._starting -= 1
            self._working.add(child)
        try:
            child.start(check)
        except BaseException as error:
            self._end(child, error.reason if isinstance(error, SandboxFailure) else "stopped")
            raise
        return child

    def _give_back(self, child: Child) -> None:
        profile = self._profile
        child.idle_since = time.monotonic()
        resident = child.resident_bytes
        if child.calls >= profile.calls or resident > profile.resident_max_bytes:
            self._end(child, "retired", resident_mb=round(resident / 1e6))
            return
        with self._freed:
            self._working.remove(child)
            self._idle.append(child)
            if self._is_closed or not child.is_alive:
                self._remove([child])
            self._freed.notify()

    def _remove(self, children: list[Child]) -> None:
        """End idle children; the caller holds the lock."""
        for child in children:
            self._idle.remove(child)
            child.kill()
        self._freed.notify_all()

    def _end(self, child: Child, reason: str, **known: Any) -> None:
        status = child.kill()
        _log.info(
            "sandbox_child_ended",
            profile=self._profile.name,
            reason=reason,
            status=status,
            child=child.pid,
            calls=child.calls,
            **known,
        )
        with self._freed:
            self._working.remove(child)
            self._freed.notify()


_shared: dict[tuple[int, str], Pool] = {}
_opening = threading.Lock()


def shared(profile: SandboxProfile) -> Pool:
    """The pool of this process for the purpose of that name, reopened after a fork."""
    with _opening:
        key = os.getpid(), profile.name
        if key not in _shared:
            _shared[key] = Pool(profile)
        return _shared[key]
