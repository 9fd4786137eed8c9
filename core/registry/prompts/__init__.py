"""Prompts: immutable versions of texts, named by a digest."""
