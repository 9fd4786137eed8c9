"""Annotations: jobs that people are asked to label, their labels, and the agreement between labelers."""
