"""Annotations: jobs that people are asked to label, what they say, and how far they agree."""
