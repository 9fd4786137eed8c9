"""Finds earlier champions: promotions read as a stack that rollbacks pop."""

from collections.abc import Collection, Iterable
from uuid import UUID

from core.registry.records import Cause, StageChange


def reign(changes: Iterable[StageChange]) -> list[UUID]:
    """The versions whose promotion has not been undone, oldest first; the last one is the champion.

    `changes` are those by which a version became champion, in order. A promotion adds its version. A rollback to a
    version removes the ones after it, so a second rollback goes back further, and never returns to the version that was
    rolled back.
    """
    stack: list[UUID] = []
    for change in changes:
        if change.cause is Cause.ROLLED_BACK:
            while stack and stack[-1] != change.version_id:
                stack.pop()
        else:
            stack.append(change.version_id)
    return stack


def previous(changes: Iterable[StageChange], retired: Collection[UUID]) -> UUID | None:
    """The version that a rollback makes champion: the last unretired one before the champion; None without one."""
    stack = reign(changes)
    champion = stack.pop() if stack else None
    while stack and (stack[-1] in retired or stack[-1] == champion):
        stack.pop()
    return stack[-1] if stack else None
