"""Decides which text may cross which border: personal data, prompt injection and data classification, by policy."""
