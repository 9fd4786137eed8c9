"""The second release: a node more, and no word about the first one's jobs, which the first one's workers finish."""

from pipelines._kit.graph import GraphRunner
from tests.factories.released import Crew, Order, Taken, chain, crew_manifest, graph_manifest

ALL = (graph_manifest(2), crew_manifest(2))


def build_graph() -> GraphRunner[Order, Taken]:
    return chain(2, ["read", "check", "act", "report"])


def build_crew() -> Crew:
    return Crew(2, ["read", "check", "act", "report"])
