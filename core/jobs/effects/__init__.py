"""Effects of jobs in systems outside: what was intended, and what became of it."""
