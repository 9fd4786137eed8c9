"""Intervals of signals, and tests that detect their changes. Pure."""
