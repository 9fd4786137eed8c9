"""What capabilities share: graphs that run as jobs."""
