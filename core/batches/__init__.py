"""Batches: many jobs submitted together, fed into the queue a portion at a time, with one result file at the end."""
