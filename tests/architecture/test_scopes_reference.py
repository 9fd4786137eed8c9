import re

from api import openapi
from core.keys import errors
from core.keys.roles import Role
from core.keys.scopes import SCOPES
from core.keys.scopes_reference import render
from core.kit.errors import WaybillError
from tests.factories.processes import ROOT

PAGE = ROOT / "docs/reference/scopes.md"


def test_the_reference_of_scopes_is_what_the_code_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == render(), "run: python -m core.keys.scopes_reference > docs/reference/scopes.md"


def test_its_table_is_the_table_of_the_roles() -> None:
    lines = [line.split("|")[1:-1] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    rows = {cells[0].strip(" `"): [cell.strip() for cell in cells[1:6]] for cells in lines if ":" in cells[0]}
    assert list(rows) == list(SCOPES)
    for scope, cells in rows.items():
        assert [cell == "✓" for cell in cells] == [scope in role.scopes for role in Role], scope


def test_every_refusal_of_keys_is_explained_where_a_client_looks() -> None:
    explained = PAGE.read_text(encoding="utf-8") + str(openapi._PROBLEMS)
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, WaybillError)]
    ours = {kind.default_code for kind in kinds if kind.__module__ == errors.__name__}
    assert len(ours) > 15
    missing = {code for code in ours if not re.search(rf"`{code}`", explained)}
    assert missing <= {"secret_key_not_configured"}
