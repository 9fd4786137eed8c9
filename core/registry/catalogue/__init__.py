"""The catalogue: resolves a name to one version of a model, from memory."""
