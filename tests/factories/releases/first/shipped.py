"""The first release."""

from pipelines._kit.graph import GraphRunner
from tests.factories.released import Crew, Order, Taken, chain, crew_manifest, graph_manifest

ALL = (graph_manifest(1), crew_manifest(1))


def build_graph() -> GraphRunner[Order, Taken]:
    return chain(1, ["read", "act", "report"])


def build_crew() -> Crew:
    return Crew(1, ["read", "act", "report"])
