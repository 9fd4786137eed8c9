"""Prints what a stack reports while it starts, runs and stops."""

from collections.abc import Callable
from dataclasses import asdict
from typing import TYPE_CHECKING

from waybill.cli.output import Output

if TYPE_CHECKING:
    from waybill.stack.supervisor import Notice

_MARKS = {
    "starting": ("…", "dim"),
    "ready": ("✓", "green"),
    "changed": ("!", "yellow"),
    "crashed": ("✗", "red"),
    "abandoned": ("✗", "red"),
    "stopping": ("…", "dim"),
    "stopped": ("■", "dim"),
}


def teller(output: Output) -> "Callable[[Notice], None]":
    """A function that prints each notice: one JSON line, or one line for a person.

    The start of each step is shown too, so that a slow start shows what it is waiting for.
    """

    def notify(notice: "Notice") -> None:
        if output.as_json:
            output.record({"event": "part", **asdict(notice)})
            return
        if notice.kind in {"starting", "stopping"} and not output.is_live:
            return
        mark, style = _MARKS[notice.kind]
        took = f"  {notice.seconds:.1f} s" if notice.seconds is not None else ""
        text = f"  {notice.text}" if notice.text else ""
        output.note(f"{mark} {notice.kind:<9} {notice.name}{took}{text}", style=style)

    return notify
