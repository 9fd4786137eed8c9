"""`JobContext` is the whole contract: what it lacks is added to it, and mypy sees who does not have it."""

import re

from tests.factories.processes import ROOT

_AROUND = re.compile(r"\b(?:getattr|hasattr|setattr)\(\s*(?:self\.)?_?(?:ctx|context|job_context)\b")


def test_no_one_looks_past_the_contract() -> None:
    found = [
        f"{path.relative_to(ROOT)}:{number}"
        for folder in ("core", "pipelines")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if _AROUND.search(line)
    ]
    assert found == []


def test_a_look_past_it_is_found() -> None:
    assert _AROUND.search('value = getattr(ctx, "data_class", None)')
    assert _AROUND.search('hasattr(self._ctx, "units")')
    assert not _AROUND.search("getattr(settings, name)")
