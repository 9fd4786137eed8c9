"""Measures what the guard's recognizers find, and find wrongly, in labeled texts."""
