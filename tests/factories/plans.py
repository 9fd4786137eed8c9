"""How Postgres would execute the statements that were executed: their plans, and what they read whole."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import psycopg
import pytest
from sqlalchemy import TextClause
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

_PARAMETER = re.compile(r"%\((\w+)\)s")
# SQLAlchemy casts what it binds itself: the same statement, executed by a session.
_CAST = re.compile(r"(%\(\w+\)s)::[A-Z_]+(?: WITH TIME ZONE)?(?:\[\])?")
_DIALECT = PGDialect_psycopg()  # type: ignore[no-untyped-call]


@dataclass(frozen=True)
class Statement:
    """A statement with what it was last given, and those before it that assumed a role and chose the settings."""

    sql: str
    given: Mapping[str, Any]
    settings: tuple[tuple[str, Mapping[str, Any]], ...]

    @property
    def role(self) -> str:
        """As whom it runs."""
        return str(self.settings[0][1]["role"])

    @property
    def is_generic(self) -> bool:
        """Whether it runs by a plan that was made for any values."""
        return "force_generic_plan" in self.settings[0][0]


@dataclass(frozen=True, order=True)
class Access:
    """How a plan reaches a table."""

    relation: str
    node: str
    index: str
    reads_all: bool


@contextmanager
def executed(patch: pytest.MonkeyPatch) -> Iterator[dict[tuple[str, str], Statement]]:
    """What is executed through `core.kit.db` meanwhile, by its text (as `driver_text` has it) and the settings."""
    found: dict[tuple[str, str], Statement] = {}
    chosen: dict[int, tuple[tuple[str, Mapping[str, Any]], ...]] = {}
    original = psycopg.Cursor.execute

    def execute(cursor: Any, query: Any, params: Any = None, **options: Any) -> Any:
        sql, before = str(query), chosen.get(id(cursor.connection), ())
        if "set_config('role'" in sql:
            chosen[id(cursor.connection)] = ((sql, params),)
        elif before:
            statement = Statement(sql, params, before)
            found[_CAST.sub(r"\1", sql), f"{statement.role} {[each for each, _ in before]}"] = statement
            if "set_config(" in sql:
                chosen[id(cursor.connection)] = (*before, (sql, params))
        return original(cursor, query, params, **options)

    with patch.context() as patched:
        patched.setattr(psycopg.Cursor, "execute", execute)
        yield found


def driver_text(statement: TextClause) -> str:
    """The statement as the driver is given it."""
    return str(statement.compile(dialect=_DIALECT))


def statements_of(*modules: ModuleType) -> dict[str, TextClause]:
    """The statements that are constants of these modules, by module and name."""
    return {
        f"{module.__name__}.{name}": each
        for module in modules
        for name, value in vars(module).items()
        for each in (value if isinstance(value, tuple) else (value,))
        if isinstance(each, TextClause)
    }


def accesses(connection: psycopg.Connection[Any], statement: Statement) -> set[Access]:
    """How each table is reached by the plan that the statement would have now, as the role and under its settings.

    A generic plan names every partition; a custom one those that its values leave.
    """
    try:
        for sql, given in statement.settings:
            connection.execute(sql, given)
        if statement.is_generic:
            names = list(dict.fromkeys(_PARAMETER.findall(statement.sql)))
            sql = _PARAMETER.sub(lambda name: f"${names.index(name[1]) + 1}", statement.sql).replace("%%", "%")
            row = connection.execute(f"EXPLAIN (GENERIC_PLAN, FORMAT JSON) {sql}").fetchone()
        else:
            row = connection.execute(f"EXPLAIN (FORMAT JSON) {statement.sql}", statement.given).fetchone()
    finally:
        connection.rollback()
    assert row is not None
    return set(_walk(row[0][0]["Plan"]))


def _walk(node: Mapping[str, Any]) -> Iterator[Access]:
    if "Relation Name" in node and "Scan" in node["Node Type"]:
        # A partial index that is read without a key counts too: it holds everything that is due, or in flight.
        keyed = "TID Cond" in node or any("Index Cond" in each for each in _with_indexes(node))
        indexes = sorted({each["Index Name"] for each in _with_indexes(node) if "Index Name" in each})
        yield Access(node["Relation Name"], node["Node Type"], ", ".join(indexes), not keyed)
    for child in node.get("Plans", ()):
        yield from _walk(child)


def _with_indexes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A scan, or what gathers the rows of a bitmap scan."""
    yield node
    for child in node.get("Plans", ()):
        if child["Node Type"].startswith("Bitmap"):
            yield from _with_indexes(child)
