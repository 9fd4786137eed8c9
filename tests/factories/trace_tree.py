"""Spans as the tree that a tracing backend shows."""

from collections.abc import Iterable
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.factories.trace_collector import attributes_of


class Tree:
    """The spans of one trace, by name and by place. A span that came twice, with the same ids, counts once."""

    def __init__(self, spans: Iterable[Span]) -> None:
        self.spans = {span.span_id: span for span in spans}

    @property
    def trace_ids(self) -> set[str]:
        """The traces that there are."""
        return {span.trace_id.hex() for span in self.spans.values()}

    @property
    def roots(self) -> list[Span]:
        """The spans without a parent."""
        return [span for span in self.spans.values() if not span.parent_span_id]

    @property
    def orphans(self) -> list[str]:
        """The names of spans whose parent is nowhere."""
        return [
            span.name for span in self.spans.values() if span.parent_span_id and span.parent_span_id not in self.spans
        ]

    def named(self, name: str, **attributes: Any) -> list[Span]:
        """The spans of this name with these attributes, in the order of their starts; dots are double underscores."""
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}
        found = [
            span for span in self.spans.values() if span.name == name and wanted.items() <= attributes_of(span).items()
        ]
        return sorted(found, key=lambda span: span.start_time_unix_nano)

    def one(self, name: str, **attributes: Any) -> Span:
        """The only span of this name with these attributes."""
        (found,) = self.named(name, **attributes)
        return found

    def path(self, span: Span) -> list[str]:
        """The names from the root down to `span`."""
        names = [span.name]
        while span.parent_span_id in self.spans:
            span = self.spans[span.parent_span_id]
            names.append(span.name)
        return names[::-1]

    def linked(self, span: Span) -> set[str]:
        """The names of the spans that `span` links to."""
        return {self.spans[link.span_id].name if link.span_id in self.spans else "?" for link in span.links}
