"""Celery tasks. Each takes ids, re-reads and claims, and is safe to run twice."""
