"""Effects of jobs in outside systems: the intent of each, and its outcome."""
