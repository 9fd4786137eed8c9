"""Moves an installation on Kubernetes to another release in steps, and back by itself when the steps look bad."""
