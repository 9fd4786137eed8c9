"""Finds personal data and secrets in texts: a language model for names, and expressions with checks for the rest."""
