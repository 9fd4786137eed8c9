"""Every regular expression of the product, and texts made from an expression's own structure that make it backtrack."""

import ast
import gc
import importlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser as parser  # type: ignore[attr-defined]
from types import ModuleType
from typing import Any

from tests.factories.processes import ROOT

PACKAGES = ("api", "core", "infra", "pipelines", "waybill", "workers")
# What begins a search at one place only, and what begins it at every place of the text.
ANCHORED = frozenset({"match", "fullmatch"})
SEARCHING = frozenset({"search", "sub", "subn", "split", "findall", "finditer"})
_MANY = 8
_PAIRED = 8


@dataclass(frozen=True)
class Expression:
    """A compiled expression, where it stands, and the methods by which it is used."""

    where: str
    pattern: re.Pattern[Any]
    methods: frozenset[str]


@dataclass(frozen=True)
class Pieces:
    """A text as ``before + unit * n + after``."""

    before: str
    unit: str
    after: str = ""

    def grown(self, size: int) -> str:
        """About `size` characters."""
        return self.before + self.unit * (size // max(len(self.unit), 1)) + self.after


def files() -> list[Path]:
    """The product's modules."""
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def files_with_expressions() -> list[Path]:
    """The modules that name `re`, relative to the repository."""
    return [path.relative_to(ROOT) for path in files() if re.search(r"\bre\.", path.read_text(encoding="utf-8"))]


@cache
def collect(place: Path) -> tuple[tuple[Expression, ...], tuple[str, ...]]:
    """Of one module: (expressions, calls whose expression is only known at run time as ``path: source``)."""
    found: list[Expression] = []
    unknown: list[str] = []
    tree = ast.parse((ROOT / place).read_text(encoding="utf-8"))
    calls = _calls(tree)
    for call in calls:
        try:
            pattern, method = _evaluated(call, _module(place))
        except NameError:
            unknown.append(f"{place}: {ast.unparse(call.args[0])}")
            continue
        used = frozenset({method}) if method != "compile" else _used(tree, call)
        found.append(Expression(f"{place}:{call.lineno}", pattern, used))
    if calls:
        known = {each.pattern for each in found}
        compiled = (each for each in _compiled(_module(place)) if each not in known)
        found.extend(Expression(str(place), each, SEARCHING | ANCHORED) for each in compiled)
    return tuple(found), tuple(unknown)


def declared_patterns() -> dict[str, str]:
    """Every string given as ``pattern=`` to pydantic, by where it stands."""
    found: dict[str, str] = {}
    for path in files():
        if "pattern=" not in (source := path.read_text(encoding="utf-8")):
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"Field", "StringConstraints", "Query", "Path"}:
                place = path.relative_to(ROOT)
                for keyword in node.keywords:
                    if keyword.arg == "pattern":
                        value = _value(keyword.value, _module(place))
                        found[f"{place}:{keyword.value.lineno}"] = value
    return found


def _calls(tree: ast.AST) -> list[ast.Call]:
    names = SEARCHING | ANCHORED | {"compile"}
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "re"
        and node.func.attr in names
    ]


@cache
def _module(place: Path) -> ModuleType:
    parts = place.with_suffix("").parts
    return importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))


def _value(node: ast.expr, module: ModuleType) -> Any:
    return eval(compile(ast.Expression(node), "<expression>", "eval"), vars(module))


def _evaluated(call: ast.Call, module: ModuleType) -> tuple[re.Pattern[Any], str]:
    method = call.func.attr  # type: ignore[attr-defined]
    if method == "compile":
        return _value(call, module), method
    flags = next((_value(keyword.value, module) for keyword in call.keywords if keyword.arg == "flags"), 0)
    position = {"sub": 4, "subn": 4, "split": 3}.get(method, 2)
    if len(call.args) > position:
        flags = _value(call.args[position], module)
    return re.compile(_value(call.args[0], module), flags), method


def _used(tree: ast.AST, call: ast.Call) -> frozenset[str]:
    """The methods called on the name that `call` is assigned to; any of them when that cannot be told."""
    names = [
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and node.value is call
        for target in node.targets
        if isinstance(target, ast.Name)
    ]
    if not names or not names[0].startswith("_"):
        return SEARCHING | ANCHORED
    mentioned = [node for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id == names[0]]
    methods = [
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == names[0]
    ]
    # Mentioned elsewhere than before a method: handed to a function, or listed, and used there in any way.
    if not methods or len(mentioned) > len(methods) + 1:
        return SEARCHING | ANCHORED
    return frozenset(methods)


def _compiled(module: ModuleType) -> Iterator[re.Pattern[Any]]:
    """Expressions that a module's values hold, however they are nested."""
    seen: set[int] = set()
    waiting = [value for name, value in vars(module).items() if name.startswith("_") and not name.startswith("__")]
    while waiting:
        value = waiting.pop()
        if id(value) in seen or isinstance(value, str | bytes | int | float | type | ModuleType):
            continue
        seen.add(id(value))
        if isinstance(value, re.Pattern):
            yield value
        elif isinstance(value, tuple | list | dict | set | frozenset) or hasattr(type(value), "__dataclass_fields__"):
            waiting.extend(gc.get_referents(value))


def hostile_texts(pattern: re.Pattern[Any]) -> list[Pieces]:
    """Texts for one expression: its repeated parts, its repeated beginnings, its alphabet, alone and in pairs."""
    source = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    tree = list(
        parser.parse(source, pattern.flags & ~re.UNICODE if isinstance(pattern.pattern, bytes) else pattern.flags)
    )
    found = list(dict.fromkeys(_seeds(tree, "")))
    alphabet = list(dict.fromkeys(letter for pieces in found for letter in pieces.before[-1:] + pieces.unit))
    alphabet += [letter for letter in "a1 \n\u00e9/.-\"'<" if letter not in alphabet]
    # Runs of some length, again and again: a run that is given up costs its length each time it is tried.
    runs = [Pieces("", pieces.before + pieces.unit * 64) for pieces in found if pieces.before]
    found += [Pieces("", letter) for letter in alphabet]
    found += [replace(pieces, after=after) for pieces in list(found) for after in ("\x00", "!\n")]
    paired = alphabet[:_PAIRED]
    found += [*runs, *(Pieces("", one + other) for one in paired for other in paired if one != other)]
    return list(dict.fromkeys(pieces for pieces in found if pieces.unit))


def _seeds(items: Sequence[Any], before: str) -> Iterator[Pieces]:  # noqa: C901 - one case for each kind of node
    for index, (kind, value) in enumerate(items):
        here = before + _sample(items[:index])
        if here:
            yield Pieces("", here)
        if kind in _REPEATS:
            _, most, body = value
            if most > _MANY:
                for letter in _choices(body):
                    yield Pieces(here, letter)
                    yield Pieces("", here + letter)
            yield from _seeds(list(body), here)
        elif kind is ops.SUBPATTERN:
            yield from _seeds(list(value[3]), here)
        elif kind is ops.BRANCH:
            for branch in value[1]:
                yield from _seeds(list(branch), here)
        elif kind in {ops.ASSERT, ops.ASSERT_NOT} and value[0] > 0:
            yield from _seeds(list(value[1]), here)
        elif kind is ops.IN:
            yield from (Pieces("", here + letter) for letter in _letters(value))
    if whole := before + _sample(items):
        yield Pieces("", whole)
        yield Pieces("", whole[:-1])


_REPEATS = frozenset(
    kind for name in ("MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT") if (kind := getattr(ops, name, None)) is not None
)
_CATEGORIES = {
    "CATEGORY_DIGIT": "1",
    "CATEGORY_NOT_DIGIT": "a",
    "CATEGORY_SPACE": " ",
    "CATEGORY_NOT_SPACE": "a",
    "CATEGORY_WORD": "a",
    "CATEGORY_NOT_WORD": "-",
}


def _choices(body: Any) -> list[str]:
    items = list(body)
    if len(items) == 1 and items[0][0] is ops.IN:
        return _letters(items[0][1])
    if len(items) == 1 and items[0][0] is ops.ANY:
        return ["a", " "]
    return [sample] if (sample := _sample(items)) else []


def _sample(items: Sequence[Any]) -> str:
    """A text that the items match, look-arounds aside."""
    return "".join(_sample_of(kind, value) for kind, value in items)


def _sample_of(kind: Any, value: Any) -> str:  # noqa: PLR0911 - one return for each kind of node
    if kind is ops.LITERAL:
        return chr(value)
    if kind is ops.NOT_LITERAL:
        return "b" if value == ord("a") else "a"
    if kind is ops.ANY:
        return "a"
    if kind is ops.IN:
        return _letters(value)[0]
    if kind in _REPEATS:
        least, _, body = value
        return _sample(list(body)) * max(int(least), 1)
    if kind is ops.SUBPATTERN:
        return _sample(list(value[3]))
    if kind is ops.BRANCH:
        return _sample(list(value[1][0]))
    return ""


def _letters(items: Sequence[Any]) -> list[str]:
    """Up to four characters of a class."""
    if items and items[0][0] is ops.NEGATE:
        source = "[^" + re.escape("".join(chr(v) for k, v in items[1:] if k is ops.LITERAL)) + "]"
        excluded = [str(value).removeprefix("CATEGORY_") for kind, value in items[1:] if kind is ops.CATEGORY]
        allowed = [letter for letter in "a 1-\u00e9\n<" if source == "[^]" or re.match(source, letter)]
        if "SPACE" in excluded:
            allowed = [letter for letter in allowed if not letter.isspace()]
        if "WORD" in excluded or ("DIGIT" in excluded and "NOT_WORD" not in excluded):
            allowed = [letter for letter in allowed if not letter.isdigit()] or ["-"]
        return allowed[:4] or ["\u2603"]
    letters: list[str] = []
    for kind, value in items:
        if kind is ops.LITERAL:
            letters.append(chr(value))
        elif kind is ops.RANGE:
            letters.append(chr(value[0]))
        elif kind is ops.CATEGORY:
            letters.append(_CATEGORIES.get(str(value), "a"))
    return list(dict.fromkeys(letters))[:4] or ["a"]
