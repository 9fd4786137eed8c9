"""Web search through a service that the operator chose; off without one. Only results' excerpts are read, no pages."""
