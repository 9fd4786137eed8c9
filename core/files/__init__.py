"""Files that clients upload for their jobs to read."""
