"""The catalogue: from a name to one version of a model, answered from memory."""
