"""The reference of the guard says what the code says, and its example does what it looks like."""

import json
import re

from core.guard.checks import check
from core.guard.policy import TEMPLATES, CombinedPolicy, GuardPolicy
from core.guard.records import Action, Direction, EntityKind, RedactionMode, Source
from core.guard.redaction import Names, redact
from core.guard.screening import screen
from core.registry.data_classes import DataClass
from tests.factories.plain_analyzer import PlainAnalyzer
from tests.factories.processes import ROOT

PAGE = (ROOT / "docs" / "reference" / "guard.md").read_text(encoding="utf-8")


def first_column(head: str) -> list[str]:
    """The names in the table whose first column is called so."""
    table = PAGE[PAGE.index(f"| {head} |") :].split("\n\n", 1)[0]
    return re.findall(r"^\| `(\w+)` \|", table, flags=re.MULTILINE)


def test_every_table_lists_what_there_is() -> None:
    for head, names in (
        ("kind", EntityKind),
        ("action", Action),
        ("mode", RedactionMode),
        ("direction", Direction),
        ("source", Source),
    ):
        assert first_column(head) == [each.value for each in names]
    assert first_column("template") == list(TEMPLATES)
    assert first_column("member") == list(GuardPolicy.model_fields)


def test_the_example_holds_every_member_and_decides_as_it_reads() -> None:
    [example] = re.findall(r"```json\n(.*?)```", PAGE, flags=re.DOTALL)
    document = json.loads(example)
    assert list(document) == list(GuardPolicy.model_fields)
    policy = GuardPolicy.model_validate(document)
    check(policy)
    text = "Acme Support asks ada@example.org about PROJECT FALCON, badge B-123456"
    found = screen(
        [text],
        policy=CombinedPolicy([policy]),
        direction=Direction.TO_MODEL,
        source=Source.INPUT,
        analyzer=PlainAnalyzer(),
    )
    assert redact(text, found.decisions, Names()) == ("Acme Support asks <EMAIL_1> about <CODE_WORD>, badge B-123456")
    assert found.counts() == {"email": {"redact": 1}, "code_word": {"redact": 1}, "badge": {"detect": 1}}
    assert found.data_class is DataClass.RESTRICTED
