"""Which models there are, in which versions, which of them answers to a name, and with which prompts."""
