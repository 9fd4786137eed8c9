"""Capabilities that are the company's own services: described in a file, called over HTTP."""
