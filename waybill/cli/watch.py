"""Follows a job on screen: live on a terminal, line by line elsewhere, as JSON lines for programs."""

import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from time import monotonic
from typing import TYPE_CHECKING, Protocol, Self

from waybill.cli.output import Output
from waybill.cli.view import JobView, notice
from waybill.client import Event, WaybillClient

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.text import Text

_MARKS = {
    "succeeded": ("✓", "green"),
    "failed": ("✗", "red"),
    "cancelled": ("■", "yellow"),
    "expired": ("✗", "red"),
    "rejected": ("✗", "red"),
}
# Lines that the live view needs besides the streamed text.
_FRAME_LINES = 6


class Screen(Protocol):
    """Something that shows a job as its events come in."""

    def see(self, view: JobView, event: Event) -> None:
        """Show `event`, which `view` has already applied."""

    def remark(self, text: str) -> None:
        """Show a remark about the connection."""


def watch(
    client: WaybillClient,
    job_id: str,
    output: Output,
    *,
    after: int = 0,
    title: str = "",
    brief: bool = False,
    on_alive: Callable[[], None] | None = None,
    on_event: Callable[[Event], None] | None = None,
) -> JobView:
    """Show the job's events after `after` until it ends; returns the resulting view. `on_event` is called for each.

    Without a terminal, `brief` prints only lines about documents and the job's end. `on_alive` is called
    whenever something arrives. Raises `StreamLost` and `ApiProblem`, as `WaybillClient.jobs.events` does.
    """
    view = JobView()
    with _screen(output, title or job_id, brief=brief) as screen:

        def reconnecting(reason: str) -> None:
            screen.remark(f"{reason}; reconnecting")

        for event in client.jobs.events(job_id, after=after, on_reconnect=reconnecting, on_alive=on_alive):
            view.fold(event)
            screen.see(view, event)
            if on_event is not None:
                on_event(event)
    return view


def _screen(output: Output, title: str, *, brief: bool) -> "AbstractContextManager[Screen]":
    if output.as_json:
        return nullcontext(_JsonScreen(output))
    if output.is_live:
        return _LiveScreen(output, title)
    return nullcontext(_BriefScreen(output) if brief else _PlainScreen(output))


class _JsonScreen:
    def __init__(self, output: Output) -> None:
        self._output = output

    def see(self, view: JobView, event: Event) -> None:  # noqa: ARG002
        self._output.record(event.as_json())

    def remark(self, text: str) -> None:
        """Programs see no gap, so they need no message."""


class _PlainScreen:
    """One line per event, timed from the first; streamed text is written as it arrives."""

    def __init__(self, output: Output) -> None:
        self._output = output
        self._began = monotonic()
        self._in_text = False

    def see(self, view: JobView, event: Event) -> None:  # noqa: ARG002
        if event.type == "message.delta":
            self._output.write(str(event.data.get("text", "")))
            self._in_text = True
            return
        self._line(f"{event.type:<17} {describe(event)}".rstrip())

    def remark(self, text: str) -> None:
        self._line(text)

    def _line(self, text: str) -> None:
        if self._in_text:
            self._output.write("\n")
            self._in_text = False
        self._output.show(f"{monotonic() - self._began:7.2f}s  {text}")


class _BriefScreen(_PlainScreen):
    """One line per document, and one for the end of the job."""

    def see(self, view: JobView, event: Event) -> None:
        if event.type in {"document.ingested", "document.failed"}:
            mark = "✓" if event.type == "document.ingested" else "✗"
            self._line(f"{mark} {view.done + 1}/{view.total}  {notice(event.data)}")
        elif event.is_final or (event.type == "job.queued" and event.attempt):
            super().see(view, event)


class _LiveScreen:
    """A live view, replaced at the end by a short summary."""

    def __init__(self, output: Output, title: str) -> None:
        from rich.live import Live
        from rich.spinner import Spinner

        self._console = output.console
        self._title = title
        self._began = monotonic()
        self._view = JobView()
        self._remark = ""
        self._spinner = Spinner("dots")
        self._live: Live = Live(
            console=self._console,
            transient=True,
            refresh_per_second=12,
            get_renderable=self._picture,
            vertical_overflow="crop",
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()
        self._console.print(self._summary(), highlight=False)

    def see(self, view: JobView, event: Event) -> None:
        self._view = view
        self._remark = ""
        if event.type == "document.failed":
            self._live.console.print(f"  ✗ {notice(event.data)}", style="red", markup=False, highlight=False)

    def remark(self, text: str) -> None:
        self._remark = text

    def _picture(self) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        parts: list[RenderableType] = [self._head(), *self._steps()]
        if self._view.total:
            parts.append(self._bar())
        if self._view.text:
            parts.append(Text(self._tail(), style="italic"))
        if self._remark:
            parts.append(Text(self._remark, style="yellow"))
        return Group(*parts)

    def _summary(self) -> "RenderableType":
        from rich.console import Group
        from rich.text import Text

        mark, style = _MARKS.get(self._view.state, ("·", "dim"))
        done = f" {self._view.message}" if self._view.message else ""
        head = Text.assemble((f"{mark} ", style), self._title, (f"  {self._view.state}{self._clock()}{done}", style))
        return Group(head, *self._steps())

    def _head(self) -> "RenderableType":
        from rich.table import Table
        from rich.text import Text

        attempt = f" · attempt {self._view.attempt}" if self._view.attempt > 1 else ""
        row = Table.grid(padding=(0, 1))
        row.add_row(self._spinner, Text(self._title), Text(f"{self._view.state}{attempt}{self._clock()}", style="dim"))
        return row

    def _steps(self) -> "Iterator[Text]":
        from rich.text import Text

        for step in self._view.steps:
            if step.attempt != self._view.attempt:
                continue
            took = "" if step.duration_ms is None else f"  {step.duration_ms:,.0f} ms"
            mark = ("▸ ", "cyan") if step.ended_at is None else ("✓ ", "green")
            yield Text.assemble("  ", mark, step.label, (took, "dim"))

    def _bar(self) -> "RenderableType":
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        row = Table.grid(padding=(0, 1))
        bar = ProgressBar(total=self._view.total, completed=self._view.done, width=32)
        row.add_row("  ", bar, f"{self._view.done}/{self._view.total}", Text(self._view.message, style="dim"))
        return row

    def _tail(self) -> str:
        width = max(20, self._console.width - 2)
        lines = [line for part in self._view.text.splitlines() or [""] for line in textwrap.wrap(part, width) or [""]]
        return "\n".join(lines[-max(3, self._console.height - _FRAME_LINES - len(self._view.steps)) :])

    def _clock(self) -> str:
        return f" · {monotonic() - self._began:.1f} s"


def describe(event: Event) -> str:
    """A few words about an event beyond its type."""
    data = event.data
    match event.type:
        case "job.started":
            words = f"attempt {event.attempt}"
        case "step.started":
            words = str(data.get("step", ""))
        case "step.finished":
            words = f"{data.get('step', '')}  {data.get('duration_ms', '?')} ms"
        case "progress.updated":
            words = f"{data.get('done')}/{data.get('total')}  {data.get('message', '')}"
        case "document.failed" | "document.ingested":
            words = notice(data)
        case "cost.updated":
            tokens = f"{data.get('input_tokens', 0)} in, {data.get('output_tokens', 0)} out"
            words = f"{data.get('model', '')}  {tokens}, {_cost(data)}"
        case _:
            plain = {name: value for name, value in data.items() if isinstance(value, str | int | float)}
            words = "  ".join(f"{name}={value}" for name, value in plain.items())
    return words


def _cost(usage: Mapping[str, object]) -> str:
    cost = usage.get("cost_usd")
    return "not priced" if cost is None else f"${cost}"
