"""What a budget, a limit or a price would have done to the jobs that were run without it."""
