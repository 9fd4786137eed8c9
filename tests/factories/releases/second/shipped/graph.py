"""What the second release runs."""

from pipelines._kit.graph import GraphRunner
from tests.factories.released import Crew, Order, Taken
from tests.factories.released_graph import chain


def build_graph() -> GraphRunner[Order, Taken]:
    return chain(2, ["read", "check", "act", "report"])


def build_crew() -> Crew:
    return Crew(2, ["read", "check", "act", "report"])
