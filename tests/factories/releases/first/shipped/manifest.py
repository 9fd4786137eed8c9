"""The first release."""

from tests.factories.released import crew_manifest, graph_manifest

ALL = (graph_manifest(1), crew_manifest(1))
