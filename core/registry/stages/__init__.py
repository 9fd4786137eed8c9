"""Stages of versions (candidate, champion, retired), their changes and rollbacks."""
