"""``/v1/files``: files that clients upload as input for their jobs."""
