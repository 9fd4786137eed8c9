"""Alerts: a version's quality is worse than its predecessor's, or inputs have drifted."""
