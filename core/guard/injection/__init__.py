"""Direct prompt injection: how likely it is that a text tries to take over the model that reads it."""
