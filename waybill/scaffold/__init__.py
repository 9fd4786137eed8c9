"""Writes the package of a new capability: manifest, schemas, runner, prompt-free and with tests that pass."""
