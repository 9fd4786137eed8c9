"""The third release runs the second one's graph too, and migrates the first one's jobs; of the crew it keeps both."""

from tests.factories.released import crew_manifest, graph_manifest

ALL = (
    graph_manifest(3, earlier_graphs={2: "shipped.graph:build_graph_2"}, migrations={1: "shipped.graph:from_1"}),
    crew_manifest(3, earlier_graphs={1: "shipped.graph:build_crew_1", 2: "shipped.graph:build_crew_2"}),
)
