"""The second release: a node more, and no word about the first one's jobs, which the first one's workers finish."""

from tests.factories.released import crew_manifest, graph_manifest

ALL = (graph_manifest(2), crew_manifest(2))
