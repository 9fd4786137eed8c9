"""Moves an installation on Kubernetes to another release in steps, and rolls back automatically if a step looks bad."""
