"""The pictures of docs/reference/architecture.md show what is there: processes, logins, pools, files."""

import re

from core.kit.processes import LOGINS, Process
from pipelines.capabilities import CAPABILITIES
from tests.factories.processes import ROOT
from workers.pools import get_pool

_PAGE = (ROOT / "docs" / "reference" / "architecture.md").read_text(encoding="utf-8")
_PICTURES = re.findall(r"```mermaid\n(.*?)```", _PAGE, flags=re.DOTALL)
_CONTAINERS = _PICTURES[1]


def _rows(heading: str) -> list[list[str]]:
    """The cells of the table that begins with `heading`, without their backquotes."""
    lines = _PAGE.partition(f"\n| {heading} |")[2].partition("\n\n")[0].splitlines()[2:]
    assert lines
    return [[cell.strip().replace("`", "") for cell in line.strip("|").split("|")] for line in lines]


def test_the_processes_and_their_logins_are_those_of_the_table() -> None:
    assert {row[0]: row[1] for row in _rows("process")} == {each.value: each.login or "none" for each in Process}


def test_every_login_has_its_arrow_to_postgres_and_no_other_does() -> None:
    arrows = re.findall(r"(\w+) -- \"SQL as (\w+).*\" --> postgres", _CONTAINERS)
    origin = {"work": "worker", "keda": "scaler"}
    assert {(origin.get(source, source), login) for source, login in arrows} == {
        (login.removeprefix("waybill_"), login) for login in LOGINS
    }


def test_the_pools_are_those_of_the_capabilities_with_their_slots() -> None:
    expected = {
        pool.name: (pool.kind, str(pool.concurrency), {each.id for each in CAPABILITIES if each.pool == pool.name})
        for pool in map(get_pool, {each.pool for each in CAPABILITIES})
    }
    found = {name: (kind, slots, set(ids.split(", "))) for name, kind, slots, ids in _rows("pool")}
    assert found == expected
    workers = _CONTAINERS.partition("subgraph work[")[2].partition("\n    end")[0]
    assert set(re.findall(r"^ +(\w+)\[", workers, flags=re.MULTILINE)) == expected.keys()


def test_every_source_that_is_named_exists() -> None:
    named = re.findall(r"\b(?:api|core|workers|pipelines)/[\w/.]*", "".join(_PICTURES))
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).exists()] == []
