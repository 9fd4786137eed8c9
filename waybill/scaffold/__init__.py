"""Writes the package of a new capability: manifest, schemas, runner without a prompt, and tests that pass."""
