"""What the code logs: constant events, ids in the API's form, and a page that names each."""

import ast
import re

from core.kit.ids import FIELDS
from core.kit.logging import SCHEMA
from core.kit.logs_reference import FOLDERS, PAGE, LogCall, log_calls, render
from tests.factories.processes import ROOT

# Ids of other systems, which have one form only.
FOREIGN = {"trace_id", "span_id", "pid"}
# What the database's row is called, for the SQL of a runbook.
ROWS = {("workers/maintenance.py", "subject")}
# What has the API's form already, or none.
_FORMED = re.compile(r"\bencode(_field)?\(|format_trace_id|\.extra\b|manifest\.id$")
_LOOKS_LIKE_AN_ID = re.compile(r"(^|[.(_])ids?\b|\bsubject\b")


def fields() -> list[tuple[LogCall, str, ast.expr]]:
    return [(call, name, value) for call in log_calls() for name, value in call.fields]


def test_the_page_is_what_the_code_says() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page == render(page), "run: python -m core.kit.logs_reference"
    assert f'"schema":{SCHEMA},' in page
    assert f"The version of this schema, {SCHEMA}." in page
    assert all(f"`{name}`" in page for name in FIELDS), "an id that has a form is not on the page"


def test_every_id_in_a_log_line_has_a_form() -> None:
    found, unknown = set(), []
    for call, name, _ in fields():
        if name == "id" or name.endswith(("_id", "_ids")):
            found.add(name)
            if name not in FIELDS and name not in FOREIGN:
                unknown.append(f"{call.place}: {name}")
    assert unknown == []
    assert {"job_id", "project_id", "message_id"} <= found


def test_what_holds_an_id_is_called_so() -> None:
    """An id below another name would be written as a bare UUID."""
    bare = []
    for call, name, value in fields():
        said = ast.unparse(value)
        if name in FIELDS or name in FOREIGN or (str(call.file.relative_to(ROOT)), name) in ROWS:
            continue
        if _LOOKS_LIKE_AN_ID.search(said) and not _FORMED.search(said):
            bare.append(f"{call.place}: {name}={said}")
    assert bare == []


def test_events_are_constants() -> None:
    for call in log_calls():
        assert call.event is not None, f"{call.place}: the event is not a constant"
        assert re.fullmatch(r"([a-z][a-z0-9]*(_[a-z0-9]+)*)?", call.event), f"{call.place}: {call.event}"


def test_nothing_logs_past_the_schema() -> None:
    """The standard library's loggers drop fields; only libraries use them."""
    past = [
        str(file.relative_to(ROOT))
        for folder in FOLDERS
        for file in sorted((ROOT / folder).rglob("*.py"))
        if "logging.getLogger(__name__)" in file.read_text(encoding="utf-8")
    ]
    assert past == []
