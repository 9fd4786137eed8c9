"""Errors of the embedded services."""


class StackError(Exception):
    """The embedded stack failed; the message says what to do."""
