"""Writes the list of events into the logs reference: ``python -m core.kit.logs_reference``."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "logs.md"
_LIST = "| event | level | logged in | its fields |\n|---|---|---|---|\n"
FOLDERS = ("api", "core", "infra", "pipelines", "waybill", "workers")
_METHODS = {
    "debug": "debug",
    "info": "info",
    "warning": "warning",
    "error": "error",
    "exception": "error",
    "critical": "critical",
}
_LOGGERS = {"_log", "log", "logger"}
_LEVELS = tuple(dict.fromkeys(_METHODS.values()))


@dataclass(frozen=True, slots=True)
class LogCall:
    """A place that logs an event: its file and line, its level, and the names of its fields with their values."""

    file: Path
    line: int
    event: str | None
    level: str
    fields: tuple[tuple[str, ast.expr], ...]

    @property
    def place(self) -> str:
        """The file and the line, from the root of the repository."""
        return f"{self.file.relative_to(ROOT)}:{self.line}"


@lru_cache(maxsize=1)
def log_calls() -> tuple[LogCall, ...]:
    """Every place in the product that logs an event, or adds fields to the events of others (`event` is empty then)."""
    return tuple(
        found
        for folder in FOLDERS
        for file in sorted((ROOT / folder).rglob("*.py"))
        for found in _calls_in(file, ast.parse(file.read_text(encoding="utf-8")))
    )


def _calls_in(file: Path, tree: ast.AST) -> Iterator[LogCall]:
    chosen = dict(_chosen_levels(tree))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        owner = getattr(called.value, "id", "") if isinstance(called, ast.Attribute) else ""
        fields = tuple((each.arg, each.value) for each in node.keywords if each.arg is not None)
        if name in {"bound_log_context", "bound_contextvars"}:
            yield LogCall(file, node.lineno, "", "", fields)
        elif name in _METHODS and owner in _LOGGERS:
            yield LogCall(file, node.lineno, _constant(node), _METHODS[name], fields)
        for level in chosen.get(node, ()):
            yield LogCall(file, node.lineno, _constant(node), level, fields)


def _chosen_levels(tree: ast.AST) -> Iterator[tuple[ast.Call, tuple[str, ...]]]:
    """Calls of ``log``, in functions where that is one of two methods of a logger, with the levels of both."""
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)):
        for node in ast.walk(function):
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.IfExp)
                and _is_called(node.targets[0], "log")
            ):
                both = (node.value.body, node.value.orelse)
                levels = tuple(_METHODS[each.attr] for each in both if isinstance(each, ast.Attribute))
                yield from (
                    (call, levels)
                    for call in ast.walk(function)
                    if isinstance(call, ast.Call) and _is_called(call.func, "log")
                )


def _is_called(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _constant(node: ast.Call) -> str | None:
    first = node.args[0] if node.args else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None


def render(page: str) -> str:
    """`page`, as Markdown, with the list of events that the code logs."""
    events: dict[str, list[LogCall]] = {}
    for call in log_calls():
        if call.event:
            events.setdefault(call.event, []).append(call)
    before, _, _ = page.partition(_LIST)
    return before + _LIST + "\n".join(_row(event, calls) for event, calls in sorted(events.items())) + "\n"


def _row(event: str, calls: list[LogCall]) -> str:
    levels = sorted({call.level for call in calls}, key=_LEVELS.index)
    modules = sorted({str(call.file.relative_to(ROOT).with_suffix("")).replace("/", ".") for call in calls})
    fields = sorted({name for call in calls for name, _ in call.fields if name != "exc_info"})
    cells = (", ".join(f"`{each}`" for each in names) for names in (levels, modules, fields))
    return f"| `{event}` | {' | '.join(cells)} |"


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
