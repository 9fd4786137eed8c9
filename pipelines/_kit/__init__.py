"""Shared by capabilities: graphs that run as jobs, tools, sandboxes and model adapters."""
