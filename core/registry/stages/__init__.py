"""Stages of versions: candidate, champion, retired; how they change and how that is undone."""
