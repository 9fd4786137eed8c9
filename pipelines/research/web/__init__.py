"""Web search through a service chosen by the operator; off without one. Only results' excerpts are read, no pages."""
