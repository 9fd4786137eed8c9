"""Divides a question into sub-questions: by its form, by the topics of the evidence, or by a model."""
