"""A general agent that calls the tools of a company's own systems."""
