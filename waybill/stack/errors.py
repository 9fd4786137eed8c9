"""What can go wrong when the embedded services start, each with its remedy."""


class StackError(Exception):
    """The embedded stack cannot do what was asked; the message says what to do about it."""
