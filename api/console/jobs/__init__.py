"""Jobs: the list, one job, and what can be done to them."""
