"""What the first release runs."""

from pipelines._kit.graph import GraphRunner
from tests.factories.released import Crew, Order, Taken
from tests.factories.released_graph import chain


def build_graph() -> GraphRunner[Order, Taken]:
    return chain(1, ["read", "act", "report"])


def build_crew() -> Crew:
    return Crew(1, ["read", "act", "report"])
