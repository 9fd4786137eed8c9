"""What a job suspends for: a person's answer, or its own child jobs."""
