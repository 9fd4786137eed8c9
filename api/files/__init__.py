"""``/v1/files``: what clients upload for their jobs to read."""
