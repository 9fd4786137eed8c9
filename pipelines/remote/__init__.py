"""Capabilities that are services of the company's own: described in a file, called over HTTP."""
