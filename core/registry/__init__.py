"""The model registry: models, their versions, the names that resolve to them, and their prompts."""
