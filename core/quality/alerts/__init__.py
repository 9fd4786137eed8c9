"""Alerts: that a version answers worse than the one before, or that inputs are no longer what they were."""
