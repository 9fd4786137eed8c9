"""Checks a draft: its claims, whether the cited sources support them, and how unsupported ones are handled."""
