"""The table of ``docs/reference/traces.md``, to hold spans against it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.factories.processes import ROOT
from tests.factories.trace_collector import attributes_of

PAGE = ROOT / "docs" / "reference" / "traces.md"
_KINDS = {1: "internal", 2: "server", 3: "client", 4: "producer", 5: "consumer"}
_NAME = re.compile(r"`((?:gen_ai|waybill|http|url|server|error|messaging)\.[a-z_.]+)`")
# What stands below the table, for several rows.
_SHARED = frozenset(
    {
        "error.type",
        "waybill.organization.id",
        "waybill.project.id",
        "waybill.job.id",
        "waybill.job.attempt",
        "waybill.capability",
    }
)
CONTENT = frozenset(
    {
        "gen_ai.system_instructions",
        "gen_ai.input.messages",
        "gen_ai.output.messages",
        "waybill.content.withheld",
        "waybill.content.truncated",
    }
)


@dataclass(frozen=True)
class Row:
    """A kind of span."""

    name: str
    kinds: str
    attributes: frozenset[str]

    def describes(self, span: Span) -> bool:
        """Whether the span is of this kind: its name, its kind and all of its attributes."""
        pattern = "".join(".+" if part.isupper() else re.escape(part) for part in re.split(r"([A-Z]{2,})", self.name))
        # Of a method and a route, and of no placeholder, is the last row.
        named = re.fullmatch(pattern, span.name) is not None or self.name == span.name
        return named and _KINDS[span.kind] in self.kinds and set(attributes_of(span)) <= self.attributes | _SHARED


@cache
def rows() -> tuple[Row, ...]:
    """The table's rows."""
    lines = PAGE.read_text(encoding="utf-8").partition("\n| span |")[2].partition("\n\n")[0].splitlines()[2:]
    found = []
    for line in lines:
        name, kinds, _, attributes = (cell.strip() for cell in line.strip("|").split("|"))
        shown = frozenset(_NAME.findall(attributes)) | (CONTENT if "[content]" in attributes else frozenset())
        found.append(Row(name.strip("`"), kinds, shown))
    return tuple(found)


def names() -> frozenset[str]:
    """Every name of an attribute or an event on the page."""
    return frozenset(_NAME.findall(PAGE.read_text(encoding="utf-8")))


def check_spans(spans: Iterable[Span]) -> None:
    """Each span is described by a row. Fails with those that are not."""
    unknown = [
        f"{span.name} ({_KINDS[span.kind]}): {sorted(attributes_of(span))}"
        for span in spans
        if not any(row.describes(span) for row in rows())
    ]
    assert unknown == [], "describe them in docs/reference/traces.md"
